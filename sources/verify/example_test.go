package verify_test

import (
	"fmt"

	"slipway.dev/slipway/sources/verify"
)

func Example() {
	keys, err := verify.ParseKeys(map[string][]byte{
		"ops": []byte("ops@example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxcXHmwaGnJ8scJaEN5RzklBPZpVSic4GdaAsKjQoeA"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = keys.Commit([]byte("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nnot signed\n"))
	fmt.Println(err)
	// Output: it is not signed
}
