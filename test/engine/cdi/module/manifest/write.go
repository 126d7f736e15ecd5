package manifest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubernetesscheme "k8s.io/client-go/kubernetes/scheme"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Write puts the stages of a plan and its certificates into a directory.
func Write(dir string, plan Plan) error {
	if err := plan.Check(); err != nil {
		return fmt.Errorf("write CDI's manifests: %w", err)
	}
	kinds, err := scheme()
	if err != nil {
		return err
	}
	all, err := stages(plan)
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := s.write(dir, kinds); err != nil {
			return err
		}
	}
	return nil
}

func scheme() (*runtime.Scheme, error) {
	kinds := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		kubernetesscheme.AddToScheme, apiextensionsv1.AddToScheme, apiregistrationv1.AddToScheme, cdiv1.AddToScheme,
	} {
		if err := add(kinds); err != nil {
			return nil, fmt.Errorf("register kinds: %w", err)
		}
	}
	return kinds, nil
}

func (s stage) write(dir string, kinds *runtime.Scheme) error {
	items := make([]any, 0, len(s.objects))
	for _, object := range s.objects {
		item, err := plain(object, kinds)
		if err != nil {
			return fmt.Errorf("write %s: %w", s.file, err)
		}
		items = append(items, item)
		if secret, ok := object.(*corev1.Secret); ok {
			if err := writePair(filepath.Join(dir, "certs", secret.Name), secret); err != nil {
				return err
			}
		}
	}
	text, err := json.MarshalIndent(map[string]any{"apiVersion": "v1", "kind": "List", "items": items}, "", " ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", s.file, err)
	}
	// Some stages hold keys.
	return writeFile(filepath.Join(dir, s.file), text)
}

// plain is an object as a file holds it: with its kind, without what servers fill in.
func plain(object client.Object, kinds *runtime.Scheme) (map[string]any, error) {
	known, _, err := kinds.ObjectKinds(object)
	if err != nil {
		return nil, fmt.Errorf("find the kind of %s: %w", object.GetName(), err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("convert %s: %w", object.GetName(), err)
	}
	out := unstructured.Unstructured{Object: content}
	out.SetGroupVersionKind(known[0])
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(content, "spec", "template", "metadata", "creationTimestamp")
	if _, wanted := object.(*cdiv1.CDI); !wanted {
		unstructured.RemoveNestedField(content, "status")
	}
	return content, nil
}

func writePair(dir string, secret *corev1.Secret) error {
	for _, name := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if err := writeFile(filepath.Join(dir, name), secret.Data[name]); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make a directory for %s: %w", filepath.Base(path), err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
