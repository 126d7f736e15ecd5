package volume_test

import (
	"fmt"

	"slipway.dev/slipway/local/node/volume"
)

func ExampleParseReference() {
	ref, err := volume.ParseReference("docker://127.0.0.1:5000/vi/shop/web:1")
	fmt.Println(ref.Host, ref.Repository, ref.Tag, err)
	_, err = volume.ParseReference("web")
	fmt.Println(err)
	// Output:
	// 127.0.0.1:5000 vi/shop/web 1 <nil>
	// the image reference is not valid: "web" is not host/repository:tag
}
