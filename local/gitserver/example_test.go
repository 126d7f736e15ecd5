package gitserver_test

import (
	"context"
	"fmt"
	"os"
	"testing/fstest"

	"slipway.dev/slipway/local/gitserver"
)

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	dir, _ := os.MkdirTemp("", "demo")
	defer os.RemoveAll(dir)
	if err := gitserver.InitDemo(ctx, dir, fstest.MapFS{"vm.yaml": {Data: []byte("kind: VirtualMachine\n")}}); err != nil {
		fmt.Println(err)
		return
	}
	server, err := gitserver.New(gitserver.Options{OnPush: func(repository string) { fmt.Println("new commits in", repository) }})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	if err := server.AddBare("demo", dir); err != nil {
		fmt.Println(err)
		return
	}
	_ = server.Start(ctx)
	fmt.Fprintln(os.Stderr, "git clone", server.URL("demo"))
}
