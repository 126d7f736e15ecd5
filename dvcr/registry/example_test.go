package registry_test

import (
	"context"
	"fmt"
	"os"

	"oras.land/oras-go/v2"

	"slipway.dev/slipway/dvcr/registry"
)

// A server and its client, as one process holds them.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "dvcr")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	server, err := registry.NewServer(registry.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := server.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close(ctx)

	repo, err := server.Client().Repository("vi/team/debian")
	if err != nil {
		fmt.Println(err)
		return
	}
	blob, err := oras.PushBytes(ctx, repo, "text/plain", []byte("bits"))
	fmt.Println(blob.Size, err)
	// Output: 4 <nil>
}
