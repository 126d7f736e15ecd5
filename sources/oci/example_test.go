package oci_test

import (
	"fmt"

	"slipway.dev/slipway/sources/oci"
)

func ExampleSplitURL() {
	repository, ref := oci.SplitURL("oci://registry.example:5000/team/vms:v1")
	fmt.Println(repository, ref.Tag)
	// Output: oci://registry.example:5000/team/vms v1
}

func ExampleRevision() {
	fmt.Println(oci.Revision{Tag: "v1", Digest: "sha256:abc"}, oci.Revision{Digest: "sha256:abc"})
	// Output: v1@sha256:abc sha256:abc
}
