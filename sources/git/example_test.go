package git_test

import (
	"context"
	"fmt"
	"io"

	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/store"
)

// A source is resolved often and fetched only when the commit is a new one.
func Example() {
	ctx := context.Background()
	client := git.NewClient()
	remote := git.Remote{URL: "https://git.example.com/shop/machines.git"}

	revision, err := client.Resolve(ctx, remote, git.Ref{SemVer: "1.x"})
	if err != nil {
		fmt.Println(err)
		return
	}
	files, err := client.Fetch(ctx, remote, revision, git.Options{Sparse: []string{"production"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer files.(io.Closer).Close()
	s, err := store.Open("/var/lib/slipway/store")
	if err != nil {
		fmt.Println(err)
		return
	}
	digest, err := s.Put(ctx, files)
	fmt.Println(revision, digest, err)
}

func ExampleRevision() {
	revision, _ := git.ParseRevision("main@sha1:e83c5163316f89bfbde7d9ab23ca2e25604af290")
	fmt.Println(revision.Ref, revision.Commit[:7])
	// Output: main e83c516
}
