package csi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/test/engine/csi"
)

func manifests(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	stages, err := csi.Manifests(csi.Plan{Registry: "registry.test", Tag: "tag", Volumes: "/volumes"})
	if err != nil {
		t.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	for _, stage := range stages {
		if len(stage.Objects) == 0 {
			t.Errorf("stage %s is empty", stage.Name)
		}
		objects = append(objects, stage.Objects...)
	}
	return objects
}

// Each program that is built runs somewhere, and nothing runs that is not built.
func TestContainersRunWhatIsBuilt(t *testing.T) {
	var want, got []string
	for _, command := range csi.Module("root").Commands {
		want = append(want, fmt.Sprintf("registry.test/%s:tag", command.Name))
	}
	for _, object := range manifests(t) {
		containers, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
		for _, container := range containers {
			if fields, ok := container.(map[string]any); ok {
				got = append(got, fmt.Sprint(fields["image"]))
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("containers run %v, built are %v", got, want)
	}
}

func TestEachClassHasAProfile(t *testing.T) {
	stage, err := csi.Profiles()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, object := range stage.Objects {
		got = append(got, object.GetKind()+" "+object.GetName())
	}
	if want := []string{"StorageProfile " + csi.StorageClass, "StorageProfile " + csi.ImmediateClass}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestNamesAreThoseOfTheObjects(t *testing.T) {
	names := map[string][]string{}
	for _, object := range manifests(t) {
		names[object.GetKind()] = append(names[object.GetKind()], object.GetName())
	}
	for kind, want := range map[string][]string{
		"Namespace": {csi.Namespace}, "StorageClass": {csi.StorageClass, csi.ImmediateClass}, "VolumeSnapshotClass": {csi.SnapshotClass},
	} {
		if !slices.Equal(names[kind], want) {
			t.Errorf("%s %v, want %v", kind, names[kind], want)
		}
	}
	definitions := strings.Join(names["CustomResourceDefinition"], " ")
	for _, kind := range []string{"volumesnapshots.", "volumesnapshotcontents.", "volumesnapshotclasses."} {
		if !strings.Contains(definitions, kind) {
			t.Errorf("definitions %s lack %s", definitions, kind)
		}
	}
}
