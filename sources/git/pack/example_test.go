package pack_test

import (
	"fmt"
	"os"

	"slipway.dev/slipway/sources/git/pack"
)

func Example() {
	f, err := os.Open("received.pack")
	if err != nil {
		fmt.Println("nothing was received")
		return
	}
	p, err := pack.Open(f, pack.DefaultLimits)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	h, _ := pack.ParseHash("e83c5163316f89bfbde7d9ab23ca2e25604af290")
	typ, content, err := p.Get(h)
	fmt.Println(typ, len(content), err)
	// Output: nothing was received
}
