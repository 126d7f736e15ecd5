package tree_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"slipway.dev/slipway/sources/tree"
)

func Example() {
	files, _ := tree.New([]tree.Entry{
		{Path: "apps/vm.yaml", Mode: 0o644, Size: 5},
		{Path: "latest", Mode: fs.ModeSymlink},
	}, func(tree.Entry) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("hello")), nil })

	content, _ := fs.ReadFile(files, "apps/vm.yaml")
	_, err := files.Open("latest")
	fmt.Println(string(content), errors.Is(err, tree.ErrSymlink))
	// Output: hello true
}
