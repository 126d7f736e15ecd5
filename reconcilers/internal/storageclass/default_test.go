package storageclass_test

import (
	"testing"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/reconcilers/internal/storageclass"
)

func TestDefault(t *testing.T) {
	class := func(name, marked string, age time.Duration) storagev1.StorageClass {
		return storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{
			Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age)),
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": marked},
		}}
	}
	cases := map[string]struct {
		classes []storagev1.StorageClass
		want    string
	}{
		"none":           {nil, ""},
		"none is marked": {[]storagev1.StorageClass{class("a", "", 0), class("b", "false", 0)}, ""},
		"one":            {[]storagev1.StorageClass{class("a", "", 0), class("b", "true", 0)}, "b"},
		"the newest":     {[]storagev1.StorageClass{class("a", "true", time.Hour), class("b", "true", time.Minute), class("c", "true", time.Hour)}, "b"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := ""
			if found := storageclass.Default(c.classes); found != nil {
				got = found.Name
			}
			if got != c.want {
				t.Errorf("default is %q, want %q", got, c.want)
			}
		})
	}
}
