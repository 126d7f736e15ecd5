package crd_test

import (
	"fmt"
	"io/fs"
	"strings"

	"slipway.dev/slipway/config/crd"
)

// Each kind has a file, named after its group and its plural name.
func Example() {
	files, err := fs.Glob(crd.Files, "gitops.slipway.dev_*.yaml")
	if err != nil {
		panic(err)
	}
	fmt.Println(strings.Join(files, "\n"))
	// Output:
	// gitops.slipway.dev_environments.yaml
	// gitops.slipway.dev_gitrepositories.yaml
	// gitops.slipway.dev_ocirepositories.yaml
	// gitops.slipway.dev_receivers.yaml
}
