package storageclass_test

import (
	"strings"
	"testing"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/reconcilers/internal/storageclass"
)

func TestChoose(t *testing.T) {
	class := func(name string, change ...func(*storagev1.StorageClass)) storagev1.StorageClass {
		c := storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	cluster := func(c *storagev1.StorageClass) {
		c.Annotations = map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}
	}
	leaving := func(c *storagev1.StorageClass) { c.DeletionTimestamp = ptr.To(metav1.NewTime(time.Unix(1e9, 0))) }
	classes := []storagev1.StorageClass{class("asked"), class("preferred"), class("module"), class("cluster", cluster), class("leaving", leaving)}
	policy := func(fallback string, allowed ...string) storageclass.Policy {
		return storageclass.Policy{Default: fallback, Allowed: allowed}
	}
	tests := map[string]struct {
		policy    storageclass.Policy
		asked     *string
		preferred string
		want      string
		problem   string
		notFound  bool
	}{
		"the spec's first":                   {asked: ptr.To("asked"), preferred: "preferred", want: "asked"},
		"then the preferred":                 {preferred: "preferred", want: "preferred"},
		"then the policy's":                  {policy: policy("module"), want: "module"},
		"then the cluster's":                 {want: "cluster"},
		"empty is not named":                 {policy: policy("module"), asked: ptr.To(""), want: "module"},
		"allowed":                            {policy: policy("", "asked"), asked: ptr.To("asked"), want: "asked"},
		"allowed beside the default":         {policy: policy("module", "asked"), asked: ptr.To("asked"), want: "asked"},
		"the default is allowed":             {policy: policy("module", "other"), asked: ptr.To("module"), want: "module"},
		"preferred, not allowed":             {policy: policy("module"), preferred: "preferred", want: "module"},
		"preferred, allowed":                 {policy: policy("module", "preferred"), preferred: "preferred", want: "preferred"},
		"cluster's, allowed":                 {policy: policy("", "cluster"), want: "cluster"},
		"not allowed":                        {policy: policy("module", "other"), asked: ptr.To("asked"), problem: "asked is not allowed; set spec.persistentVolumeClaim.storageClassName to one that is: module, other"},
		"nothing allowed beside a default":   {policy: policy("module"), asked: ptr.To("asked"), problem: "one that is: module"},
		"cluster's, not allowed":             {policy: policy("", "other"), problem: "cluster is not allowed"},
		"not allowed, nor there":             {policy: policy("", "other"), asked: ptr.To("none"), problem: "none is not allowed"},
		"not there":                          {asked: ptr.To("none"), problem: "none is not there", notFound: true},
		"the policy's is not there":          {policy: policy("gone"), problem: "gone is not there", notFound: true},
		"being deleted":                      {asked: ptr.To("leaving"), problem: "leaving is being deleted"},
		"the policy's, when that is leaving": {policy: policy("leaving"), problem: "leaving is being deleted"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, problem := test.policy.Choose(storageclass.Request{Asked: test.asked, Preferred: test.preferred, Classes: classes})
			if (got == nil) != (test.want == "") || got != nil && got.Name != test.want {
				t.Errorf("class is %v, want %q", got, test.want)
			}
			if (problem == nil) != (test.problem == "") {
				t.Fatalf("problem is %v, want %q", problem, test.problem)
			}
			if problem != nil && (!strings.Contains(problem.Message, test.problem) || problem.NotFound != test.notFound) {
				t.Errorf("problem is %+v, want %q, not found %t", problem, test.problem, test.notFound)
			}
		})
	}
	if _, problem := (storageclass.Policy{}).Choose(storageclass.Request{}); problem == nil || !problem.NotFound || !strings.Contains(problem.Message, "no default one") {
		t.Errorf("problem in a cluster without classes is %+v", problem)
	}
}
