package wire_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"slipway.dev/slipway/sources/git/wire"
)

func Example() {
	ctx := context.Background()
	u, _ := url.Parse("https://git.example.com/shop/machines.git")
	s, err := wire.Endpoint{URL: u, HTTP: http.DefaultTransport}.Open(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	refs, err := s.Refs(ctx, "refs/heads/main")
	if err != nil || len(refs) == 0 {
		fmt.Println("no such branch", err)
		return
	}
	err = s.Fetch(ctx, wire.Request{Wants: []string{refs[0].Hash}, Depth: 1}, os.Stdout)
	fmt.Println(err)
}
