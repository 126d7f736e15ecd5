package sizing_test

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/class/sizing"
)

func size(text string) *resource.Quantity { return ptr.To(resource.MustParse(text)) }

func policies() []v1alpha2.SizingPolicy {
	return []v1alpha2.SizingPolicy{
		{
			Cores:         v1alpha2.SizingPolicyCores{Min: 1, Max: 4},
			CoreFractions: []v1alpha2.CoreFraction{5, 50},
			Memory: &v1alpha2.SizingPolicyMemory{
				Min: size("1Gi"), Max: size("8Gi"), Step: size("512Mi"),
				PerCore: v1alpha2.SizingPolicyMemoryPerCore{Min: size("512Mi"), Max: size("4Gi")},
			},
			DefaultCoreFraction: ptr.To[v1alpha2.CoreFraction](50),
		},
		{Cores: v1alpha2.SizingPolicyCores{Min: 8, Max: 16, Step: 4}},
	}
}

func TestMatch(t *testing.T) {
	tests := map[string]struct {
		policies []v1alpha2.SizingPolicy
		cores    int32
		fraction string
		memory   string
		fits     bool
	}{
		"no policies":               {cores: 100, memory: "1Mi", fits: true},
		"fits":                      {policies: policies(), cores: 2, fraction: "5%", memory: "2Gi", fits: true},
		"default fraction":          {policies: policies(), cores: 2, memory: "2Gi", fits: true},
		"wrong fraction":            {policies: policies(), cores: 2, fraction: "100%", memory: "2Gi"},
		"between ranges":            {policies: policies(), cores: 6, memory: "2Gi"},
		"off the steps of cores":    {policies: policies(), cores: 10, memory: "2Gi"},
		"on the steps of cores":     {policies: policies(), cores: 12, memory: "2Gi", fits: true},
		"little memory":             {policies: policies(), cores: 1, memory: "512Mi"},
		"much memory":               {policies: policies(), cores: 4, memory: "9Gi"},
		"off the steps of memory":   {policies: policies(), cores: 2, memory: "1300Mi"},
		"little memory for a core":  {policies: policies(), cores: 4, memory: "1Gi"},
		"much memory for a core":    {policies: policies(), cores: 1, memory: "5Gi"},
		"exactly enough for a core": {policies: policies(), cores: 4, memory: "2Gi", fits: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			spec := &v1alpha2.VirtualMachineSpec{
				CPU:    v1alpha2.CPUSpec{Cores: test.cores, CoreFraction: test.fraction},
				Memory: v1alpha2.MemorySpec{Size: *size(test.memory)},
			}
			err := sizing.Match(test.policies, spec)
			if test.fits != (err == nil) {
				t.Errorf("error %v, should fit: %t", err, test.fits)
			}
			if err != nil && !errors.Is(err, sizing.ErrNoMatch) {
				t.Errorf("error %v does not wrap ErrNoMatch", err)
			}
		})
	}
}

func TestDefaultFraction(t *testing.T) {
	tests := map[string]struct {
		cores int32
		want  string
	}{
		"policy with a default":    {cores: 2, want: "50%"},
		"policy without a default": {cores: 8, want: ""},
		"no policy":                {cores: 99, want: ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := sizing.DefaultFraction(policies(), test.cores); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
