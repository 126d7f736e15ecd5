package flux_test

import (
	"context"
	"errors"
	"fmt"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/sources/flux"
)

func ExampleClient_Fetch() {
	client := flux.NewClient(egress.Policy{})
	_, err := client.Fetch(context.Background(), flux.Archive{URL: "file:///etc/passwd"})
	fmt.Println(errors.Is(err, flux.ErrRefused))
	// Output: true
}
