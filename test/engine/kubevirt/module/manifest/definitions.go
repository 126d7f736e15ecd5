package manifest

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/components"
	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/install"
)

// definitions are the kinds, with that of the configuration, which the operator brings along.
func definitions(strategy *install.Strategy) ([]any, error) {
	configuration, err := components.NewKubeVirtCrd()
	if err != nil {
		return nil, fmt.Errorf("make the definition of KubeVirt: %w", err)
	}
	all := append(strategy.CRDs(), configuration)
	for _, definition := range all {
		for i := range definition.Spec.Versions {
			if schema := definition.Spec.Versions[i].Schema; schema != nil {
				widenChecksums(schema.OpenAPIV3Schema)
			}
		}
	}
	return list(all), nil
}

// widenChecksums makes room for what KubeVirt writes: the checksums of container disks have 32 bits without a sign, and
// its definitions say that there is one. API servers refuse half of all disks for it: the guest runs, and its status
// never says so.
func widenChecksums(schema *apiextensionsv1.JSONSchemaProps) {
	if schema == nil {
		return
	}
	for name, property := range schema.Properties {
		if name == "checksum" && property.Format == "int32" {
			property.Format = "int64"
		}
		widenChecksums(&property)
		schema.Properties[name] = property
	}
	if schema.Items != nil {
		widenChecksums(schema.Items.Schema)
	}
}
