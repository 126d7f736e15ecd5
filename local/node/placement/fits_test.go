package placement

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func TestFits(t *testing.T) {
	required := func(terms string) string {
		return "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [" + terms + "]}}}"
	}
	tests := map[string]struct {
		spec   string
		taints []corev1.Taint
		fits   bool
	}{
		"anything":                        {spec: "{}", fits: true},
		"a label that is there":           {spec: "nodeSelector: {zone: a}", fits: true},
		"a label of another value":        {spec: "nodeSelector: {zone: b}"},
		"a label that is not there":       {spec: `nodeSelector: {disk: ""}`},
		"In":                              {spec: required("{matchExpressions: [{key: zone, operator: In, values: [b, a]}]}"), fits: true},
		"In, absent":                      {spec: required("{matchExpressions: [{key: rack, operator: In, values: [a]}]}")},
		"NotIn, absent":                   {spec: required("{matchExpressions: [{key: rack, operator: NotIn, values: [a]}]}"), fits: true},
		"DoesNotExist":                    {spec: required("{matchExpressions: [{key: zone, operator: DoesNotExist}]}")},
		"Exists":                          {spec: required("{matchExpressions: [{key: zone, operator: Exists}]}"), fits: true},
		"Gt":                              {spec: required("{matchExpressions: [{key: cores, operator: Gt, values: ['3']}]}"), fits: true},
		"Lt":                              {spec: required("{matchExpressions: [{key: cores, operator: Lt, values: ['4']}]}")},
		"all of a term":                   {spec: required("{matchExpressions: [{key: zone, operator: Exists}, {key: rack, operator: Exists}]}")},
		"any of the terms":                {spec: required("{matchExpressions: [{key: rack, operator: Exists}]}, {matchFields: [{key: metadata.name, operator: In, values: [here]}]}"), fits: true},
		"an empty term":                   {spec: required("{}")},
		"a preference is none":            {spec: "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: rack, operator: Exists}]}}]}}", fits: true},
		"memory that is there":            {spec: "domain: {devices: {}, memory: {guest: 1Gi}}", fits: true},
		"more memory than there is":       {spec: "domain: {devices: {}, memory: {guest: 3Gi}}"},
		"a taint":                         {spec: "{}", taints: []corev1.Taint{{Key: "k", Value: "v", Effect: corev1.TaintEffectNoSchedule}}},
		"a taint that only prefers":       {spec: "{}", taints: []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectPreferNoSchedule}}, fits: true},
		"a tolerated taint":               {spec: "tolerations: [{key: k, value: v}]", taints: []corev1.Taint{{Key: "k", Value: "v", Effect: corev1.TaintEffectNoSchedule}}, fits: true},
		"tolerated whatever its value":    {spec: "tolerations: [{key: k, operator: Exists, effect: NoSchedule}]", taints: []corev1.Taint{{Key: "k", Value: "v", Effect: corev1.TaintEffectNoSchedule}}, fits: true},
		"another effect is not tolerated": {spec: "tolerations: [{key: k, operator: Exists, effect: NoExecute}]", taints: []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectNoSchedule}}},
		"everything is tolerated":         {spec: "tolerations: [{operator: Exists}]", taints: []corev1.Taint{{Key: "k", Effect: corev1.TaintEffectNoExecute}}, fits: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var spec virtv1.VirtualMachineInstanceSpec
			if err := yaml.UnmarshalStrict([]byte(tc.spec), &spec); err != nil {
				t.Fatal(err)
			}
			node := &corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: "here", Labels: map[string]string{"zone": "a", "cores": "4"}},
				Spec:       corev1.NodeSpec{Taints: tc.taints},
				Status:     corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Gi")}},
			}
			if err := Fits(&spec, node); (err == nil) != tc.fits {
				t.Errorf("fits %v (%v), want %v", err == nil, err, tc.fits)
			}
		})
	}
}
