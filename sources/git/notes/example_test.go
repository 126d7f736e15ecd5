package notes_test

import (
	"context"
	"fmt"

	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/git/notes"
)

func Example() {
	n := notes.New(git.NewClient())
	remote := git.Remote{URL: "https://git.example.com/shop/machines.git", Auth: git.Auth{BearerToken: "…"}}
	err := n.Append(context.Background(), remote, notes.Ref, "e83c5163316f89bfbde7d9ab23ca2e25604af290", []byte("health: Healthy\n"))
	fmt.Println(err)
}
