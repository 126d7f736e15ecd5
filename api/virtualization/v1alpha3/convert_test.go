package v1alpha3_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha3"
)

func class(policies ...v1alpha3.SizingPolicy) *v1alpha3.VirtualMachineClass {
	return &v1alpha3.VirtualMachineClass{
		TypeMeta:   metav1.TypeMeta{APIVersion: "virtualization.deckhouse.io/v1alpha3", Kind: "VirtualMachineClass"},
		ObjectMeta: metav1.ObjectMeta{Name: "generic", Annotations: map[string]string{"a": "b"}},
		Spec: v1alpha3.VirtualMachineClassSpec{
			CPU:            v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeModel, Model: "Nehalem"},
			NodeSelector:   v1alpha2.ClassNodeSelector{MatchLabels: map[string]string{"zone": "a"}},
			Tolerations:    []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}},
			SizingPolicies: policies,
		},
		Status: v1alpha2.VirtualMachineClassStatus{Phase: v1alpha2.ClassReady, AvailableNodes: []string{"one"}},
	}
}

func fractions(values ...v1alpha3.CoreFraction) v1alpha3.SizingPolicy {
	return v1alpha3.SizingPolicy{
		Cores:         v1alpha2.SizingPolicyCores{Min: 1, Max: 4},
		Memory:        &v1alpha2.SizingPolicyMemory{Min: ptr.To(resource.MustParse("1Gi"))},
		CoreFractions: values,
	}
}

func TestRoundTrip(t *testing.T) {
	withDefault := fractions("5%", "100%")
	withDefault.DefaultCoreFraction = ptr.To(v1alpha3.CoreFraction("50%"))
	withDefault.DedicatedCores = []bool{true, false}
	tests := map[string]*v1alpha3.VirtualMachineClass{
		"no policies":           class(),
		"policy without":        class(fractions()),
		"fractions":             class(fractions("1%", "50%"), fractions("100%")),
		"fractions and default": class(withDefault),
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			stored, err := v1alpha3.ToV1alpha2(want)
			if err != nil {
				t.Fatal(err)
			}
			if stored.APIVersion != "virtualization.deckhouse.io/v1alpha2" {
				t.Errorf("the stored version is %q", stored.APIVersion)
			}
			if diff := cmp.Diff(want, v1alpha3.FromV1alpha2(stored)); diff != "" {
				t.Errorf("there and back again differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestToV1alpha2(t *testing.T) {
	policy := fractions("5%")
	policy.DefaultCoreFraction = ptr.To(v1alpha3.CoreFraction("100%"))
	got, err := v1alpha3.ToV1alpha2(class(policy))
	if err != nil {
		t.Fatal(err)
	}
	want := []v1alpha2.SizingPolicy{{
		Cores:               policy.Cores,
		Memory:              policy.Memory,
		CoreFractions:       []v1alpha2.CoreFraction{5},
		DefaultCoreFraction: ptr.To(v1alpha2.CoreFraction(100)),
	}}
	if diff := cmp.Diff(want, got.Spec.SizingPolicies); diff != "" {
		t.Errorf("policies differ (-want +got):\n%s", diff)
	}
}

func TestToV1alpha2Refuses(t *testing.T) {
	tests := map[string]v1alpha3.CoreFraction{
		"no percent sign": "50",
		"zero":            "0%",
		"above a whole":   "101%",
		"not a number":    "half%",
		"empty":           "",
	}
	for name, value := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := v1alpha3.ToV1alpha2(class(fractions("10%", value)))
			if err == nil {
				t.Fatal("no error")
			}
			if want := "spec.sizingPolicies[0].coreFractions[1]"; !strings.Contains(err.Error(), want) {
				t.Errorf("error %q does not name %s", err, want)
			}
		})
	}
}

// TestReadsEitherVersion covers objects that were stored while nothing converted between the versions.
func TestReadsEitherVersion(t *testing.T) {
	for name, text := range map[string]string{
		"as numbers":     `{"coreFractions":[5,100],"defaultCoreFraction":50}`,
		"as percentages": `{"coreFractions":["5%","100%"],"defaultCoreFraction":"50%"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var stored v1alpha2.SizingPolicy
			if err := json.Unmarshal([]byte(text), &stored); err != nil {
				t.Fatal(err)
			}
			wantStored := v1alpha2.SizingPolicy{CoreFractions: []v1alpha2.CoreFraction{5, 100}, DefaultCoreFraction: ptr.To[v1alpha2.CoreFraction](50)}
			if diff := cmp.Diff(wantStored, stored); diff != "" {
				t.Errorf("v1alpha2 differs (-want +got):\n%s", diff)
			}
			var newer v1alpha3.SizingPolicy
			if err := json.Unmarshal([]byte(text), &newer); err != nil {
				t.Fatal(err)
			}
			wantNewer := v1alpha3.SizingPolicy{CoreFractions: []v1alpha3.CoreFraction{"5%", "100%"}, DefaultCoreFraction: ptr.To[v1alpha3.CoreFraction]("50%")}
			if diff := cmp.Diff(wantNewer, newer); diff != "" {
				t.Errorf("v1alpha3 differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadRefusesWords(t *testing.T) {
	if err := json.Unmarshal([]byte(`{"coreFractions":["half"]}`), &v1alpha2.SizingPolicy{}); err == nil {
		t.Error("v1alpha2 reads a word as a number")
	}
	if err := json.Unmarshal([]byte(`{"coreFractions":[true]}`), &v1alpha3.SizingPolicy{}); err == nil {
		t.Error("v1alpha3 reads a truth value as a percentage")
	}
}
