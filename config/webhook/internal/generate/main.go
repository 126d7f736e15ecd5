// Command generate writes the webhook configurations for a cluster into a directory.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/config/rbac"
	"slipway.dev/slipway/reconcilers/admission"
)

func main() {
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "write the webhook configurations: %v\n", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	endpoint := admission.Endpoint{ServiceNamespace: rbac.ControllerNamespace, ServiceName: "slipway-webhook", ServicePort: 443}
	mutating, validating := admission.Configurations(endpoint)
	if err := writeYAML(filepath.Join(dir, "configurations.yaml"), mutating, validating); err != nil {
		return err
	}
	return writeYAML(filepath.Join(dir, "conversion.yaml"), map[string]any{
		"apiVersion": apiextensionsv1.SchemeGroupVersion.String(), "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": admission.ConvertedDefinition},
		"spec":     map[string]any{"conversion": admission.Conversion(endpoint)},
	})
}

func writeYAML(path string, documents ...any) error {
	var out bytes.Buffer
	for i, document := range documents {
		text, err := yaml.Marshal(document)
		if err != nil {
			return fmt.Errorf("encode %s: %w", path, err)
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(text)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
