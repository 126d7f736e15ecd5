package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// packages are the API modules' packages that hold the kinds.
var packages = []string{
	"kubevirt.io/api/core/v1",
	"kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1",
	"github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1",
}

// definition is what a kind's definition gets beside its schema.
type definition struct {
	file       string
	shortNames []string
	columns    []apiextensionsv1.CustomResourceColumnDefinition
	// marked tells that the API's own markers say all of that.
	marked bool
}

var definitions = []definition{
	{
		file: "kubevirt.io_virtualmachines.yaml",
		columns: []apiextensionsv1.CustomResourceColumnDefinition{
			age(),
			column("Status", ".status.printableStatus"),
			column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
		},
	},
	{
		file:       "kubevirt.io_virtualmachineinstances.yaml",
		shortNames: []string{"vmi", "vmis"},
		columns: []apiextensionsv1.CustomResourceColumnDefinition{
			age(),
			column("Phase", ".status.phase"),
			column("IP", ".status.interfaces[0].ipAddress"),
			column("NodeName", ".status.nodeName"),
			column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
			wide("Live-Migratable", ".status.conditions[?(@.type=='LiveMigratable')].status"),
			wide("Paused", ".status.conditions[?(@.type=='Paused')].status"),
		},
	},
	{
		file:       "kubevirt.io_virtualmachineinstancemigrations.yaml",
		shortNames: []string{"vmim", "vmims"},
		columns: []apiextensionsv1.CustomResourceColumnDefinition{
			column("Phase", ".status.phase"),
			column("VMI", ".spec.vmiName"),
		},
	},
	{
		file:       "cdi.kubevirt.io_datavolumes.yaml",
		shortNames: []string{"dv", "dvs"},
		columns: []apiextensionsv1.CustomResourceColumnDefinition{
			column("Phase", ".status.phase"),
			column("Progress", ".status.progress"),
			{Name: "Restarts", Type: "integer", JSONPath: ".status.restartCount"},
			age(),
		},
	},
	{file: "cdi.kubevirt.io_storageprofiles.yaml"},
	{file: "snapshot.storage.k8s.io_volumesnapshots.yaml", marked: true},
	{file: "snapshot.storage.k8s.io_volumesnapshotcontents.yaml", marked: true},
	{file: "snapshot.storage.k8s.io_volumesnapshotclasses.yaml", marked: true},
}

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "generate the engine's definitions:", err)
		os.Exit(1)
	}
}

func run(target string) (err error) {
	scratch, err := os.MkdirTemp("", "slipway-crd-")
	if err != nil {
		return fmt.Errorf("make a scratch folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	for _, pkg := range packages {
		if err := schemas(pkg, scratch); err != nil {
			return err
		}
	}
	for _, d := range definitions {
		if err := d.write(scratch, target); err != nil {
			return err
		}
	}
	return nil
}

// schemas writes the definitions of all kinds of a package into a folder.
func schemas(pkg, dir string) error {
	cmd := exec.Command("go", "tool", "-modfile=../../../tools/go.mod", "controller-gen",
		"crd:maxDescLen=0,allowDangerousTypes=true", "paths="+pkg, "output:crd:dir="+dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run controller-gen on %s: %w", pkg, err)
	}
	return nil
}

// write completes the definition found in one folder and puts it into another.
func (d definition) write(from, to string) error {
	raw, err := os.ReadFile(filepath.Join(from, d.file))
	if err != nil {
		return fmt.Errorf("read what controller-gen made: %w", err)
	}
	crd := apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(raw, &crd); err != nil {
		return fmt.Errorf("parse %s: %w", d.file, err)
	}
	d.complete(&crd)
	raw, err = yaml.Marshal(map[string]any{
		"apiVersion": crd.APIVersion,
		"kind":       crd.Kind,
		"metadata":   map[string]any{"name": crd.Name, "annotations": crd.Annotations},
		"spec":       crd.Spec,
	})
	if err != nil {
		return fmt.Errorf("print %s: %w", d.file, err)
	}
	if err := os.WriteFile(filepath.Join(to, d.file), raw, 0o644); err != nil {
		return fmt.Errorf("write the definition: %w", err)
	}
	return nil
}

func (d definition) complete(crd *apiextensionsv1.CustomResourceDefinition) {
	if d.marked {
		crd.Annotations[apiextensionsv1.KubeAPIApprovedAnnotation] = "https://github.com/kubernetes-csi/external-snapshotter/pull/814"
		return
	}
	crd.Spec.Names.ShortNames = d.shortNames
	crd.Spec.Names.Categories = nil
	version := &crd.Spec.Versions[0]
	version.AdditionalPrinterColumns = d.columns
	version.Subresources = &apiextensionsv1.CustomResourceSubresources{
		Status: &apiextensionsv1.CustomResourceSubresourceStatus{},
	}
}

func column(name, path string) apiextensionsv1.CustomResourceColumnDefinition {
	return apiextensionsv1.CustomResourceColumnDefinition{Name: name, Type: "string", JSONPath: path}
}

// wide is a column that is printed only when asked for.
func wide(name, path string) apiextensionsv1.CustomResourceColumnDefinition {
	c := column(name, path)
	c.Priority = 1
	return c
}

func age() apiextensionsv1.CustomResourceColumnDefinition {
	return apiextensionsv1.CustomResourceColumnDefinition{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"}
}
