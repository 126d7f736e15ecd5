package intake_test

import (
	"fmt"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
)

// A failed import is told with its cause and what to do about it.
func ExampleDescribe() {
	err := fmt.Errorf("import http://files.example/debian.qcow2: %w", importer.ErrChecksum)
	fmt.Println(intake.Describe(intake.Transfer{LastError: err}))
	// Output: import http://files.example/debian.qcow2: checksum does not match; correct the checksum in the data source, or the file on the server
}
