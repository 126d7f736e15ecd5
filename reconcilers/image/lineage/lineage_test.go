package lineage_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/image/lineage"
)

func image(kind v1alpha2.ObjectRefKind) *v1alpha2.VirtualImage {
	o := &v1alpha2.VirtualImage{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "copy"}}
	o.Spec.DataSource.Type = v1alpha2.DataSourceObjectRef
	o.Spec.DataSource.ObjectRef = &v1alpha2.VirtualImageObjectRef{Kind: kind, Name: "source"}
	return o
}

func clusterImage(kind v1alpha2.ObjectRefKind, namespace string) *v1alpha2.ClusterVirtualImage {
	o := &v1alpha2.ClusterVirtualImage{ObjectMeta: metav1.ObjectMeta{Name: "copy"}}
	o.Spec.DataSource.Type = v1alpha2.DataSourceObjectRef
	o.Spec.DataSource.ObjectRef = &v1alpha2.ClusterVirtualImageObjectRef{Kind: kind, Namespace: namespace, Name: "source"}
	return o
}

func TestOf(t *testing.T) {
	changed := image("VirtualDisk")
	changed.Spec.DataSource.Type = v1alpha2.DataSourceHTTP
	cases := map[string]struct {
		image client.Object
		want  string
	}{
		"a disk":                                  {image("VirtualDisk"), "VirtualDisk team/source"},
		"a snapshot":                              {image("VirtualDiskSnapshot"), "VirtualDiskSnapshot team/source"},
		"a cluster image":                         {image("ClusterVirtualImage"), "ClusterVirtualImage source"},
		"a snapshot of a namespace":               {clusterImage("VirtualDiskSnapshot", "far"), "VirtualDiskSnapshot far/source"},
		"a cluster image, a namespace is named":   {clusterImage("ClusterVirtualImage", "far"), "ClusterVirtualImage source"},
		"another source, though an object stands": {changed, ""},
		"no image at all":                         {&v1alpha2.VirtualDisk{}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, found := lineage.Of(c.image)
			if found != (c.want != "") || found && got.String() != c.want {
				t.Errorf("made from %q (%t), want %q", got, found, c.want)
			}
		})
	}
}

func TestFills(t *testing.T) {
	cases := map[string]struct {
		phase    v1alpha2.DiskPhase
		reason   string
		progress string
		deleted  bool
		want     bool
	}{
		"new":                             {},
		"waiting for its image":           {phase: "Pending", reason: "DatasourceIsNotReady"},
		"waiting for its first consumer":  {phase: "WaitForFirstConsumer", reason: "WaitingForFirstConsumer", want: true},
		"being filled":                    {phase: "Provisioning", reason: "Provisioning", want: true},
		"waiting for an importer":         {phase: "Pending", reason: "ImagePullFailed", want: true},
		"stopped by a quota":              {phase: "Pending", reason: "QuotaExceeded", want: true},
		"filled in vain, and tried again": {phase: "Failed", reason: "ProvisioningFailed", progress: "0%", want: true},
		"too small for its image":         {phase: "Failed", reason: "ProvisioningFailed"},
		"ready":                           {phase: "Ready", reason: "Ready", progress: "100%"},
		"lost":                            {phase: "PVCLost", reason: "PVCLost", progress: "100%"},
		"just deleted":                    {phase: "WaitForFirstConsumer", deleted: true},
		"being deleted":                   {phase: "Terminating", deleted: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			disk := &v1alpha2.VirtualDisk{Status: v1alpha2.VirtualDiskStatus{Phase: c.phase, Progress: c.progress}}
			disk.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: c.reason}}
			if c.deleted {
				disk.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
			}
			if got := lineage.Fills(disk); got != c.want {
				t.Errorf("the disk needs its source: %t, want %t", got, c.want)
			}
		})
	}
}

func TestReads(t *testing.T) {
	cases := map[string]struct {
		phase   v1alpha2.ImagePhase
		reason  string
		deleted bool
		want    bool
	}{
		"new":                    {},
		"waiting for its source": {phase: "Pending", reason: "DatasourceNotReady"},
		"being made":             {phase: "Provisioning", reason: "Provisioning", want: true},
		"without an importer":    {phase: "Pending", reason: "ImagePullFailed", want: true},
		"stopped by a quota":     {phase: "Pending", reason: "QuotaExceeded", want: true},
		"ready":                  {phase: "Ready", reason: "Ready"},
		"failed":                 {phase: "Failed", reason: "ProvisioningFailed"},
		"lost":                   {phase: "ImageLost", reason: "ImageLost"},
		"just deleted":           {phase: "Provisioning", reason: "Provisioning", deleted: true},
		"being deleted":          {phase: "Terminating", deleted: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			near, far := image("VirtualDiskSnapshot"), clusterImage("VirtualDiskSnapshot", "team")
			near.Status.Phase, far.Status.Phase = c.phase, c.phase
			if c.reason != "" {
				conditions := []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: c.reason}}
				near.Status.Conditions, far.Status.Conditions = conditions, conditions
			}
			if c.deleted {
				now := metav1.NewTime(time.Unix(1, 0))
				near.DeletionTimestamp, far.DeletionTimestamp = &now, &now
			}
			for _, o := range []client.Object{near, far} {
				if got := lineage.Reads(o); got != c.want {
					t.Errorf("%s reads its origin: %t, want %t", lineage.Name(client.ObjectKeyFromObject(o)), got, c.want)
				}
			}
		})
	}
}
