package scrub_test

import (
	"fmt"

	"slipway.dev/slipway/internal/scrub"
)

func Example() {
	s := scrub.New("open sesame")
	fmt.Println(s.Text("GET https://ali:open%20sesame@cave.example/?hint=open+sesame: status 403"))
	// Output: GET https://cave.example/?hint=***: status 403
}
