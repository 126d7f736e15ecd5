package manifest

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func TestChecksumsHaveRoom(t *testing.T) {
	narrow := func(name string) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Properties: map[string]apiextensionsv1.JSONSchemaProps{name: {Type: "integer", Format: "int32"}}}
	}
	disk := narrow("checksum")
	schema := &apiextensionsv1.JSONSchemaProps{Properties: map[string]apiextensionsv1.JSONSchemaProps{
		"disks": {Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &disk}},
		"boot":  narrow("checksum"),
		"cores": narrow("checksums"),
	}}
	widenChecksums(schema)
	for place, got := range map[string]string{
		"int64 in a list":    schema.Properties["disks"].Items.Schema.Properties["checksum"].Format,
		"int64 in an object": schema.Properties["boot"].Properties["checksum"].Format,
		"int32 elsewhere":    schema.Properties["cores"].Properties["checksums"].Format,
	} {
		if got != place[:5] {
			t.Errorf("want %s, got %s", place, got)
		}
	}
}
