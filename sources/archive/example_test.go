package archive_test

import (
	"bytes"
	"context"
	"fmt"
	"testing/fstest"

	"slipway.dev/slipway/sources/archive"
)

func Example() {
	var out bytes.Buffer
	packed, err := archive.Pack(context.Background(), &out, fstest.MapFS{"vm.yaml": {Data: []byte("kind: VirtualMachine\n")}}, "")
	if err != nil {
		panic(err)
	}
	files, err := archive.Unpack(context.Background(), &out, archive.Options{})
	if err != nil {
		panic(err)
	}
	defer files.Close()
	content, err := files.ReadFile("vm.yaml")
	fmt.Print(packed.Files, " ", string(content), err, "\n")
	// Output: 1 kind: VirtualMachine
	// <nil>
}
