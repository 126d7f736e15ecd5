package store_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"testing/fstest"

	"slipway.dev/slipway/sources/store"
)

func Example() {
	dir, _ := os.MkdirTemp("", "store")
	defer os.RemoveAll(dir)
	s, _ := store.Open(dir)

	digest, _ := s.Put(context.Background(), fstest.MapFS{"vm.yaml": {Data: []byte("kind: VirtualMachine\n")}})
	tree, _ := s.Tree(digest)
	content, _ := fs.ReadFile(tree, "vm.yaml")
	fmt.Print(digest, "\n", string(content))
	// Output:
	// sha256:e5d03614332ef5eb255114b36d61c3ad27694cd0d18dcc3339af7faeb2506701
	// kind: VirtualMachine
}
