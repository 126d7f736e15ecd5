package image

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

func sourceImage(phase v1alpha2.ImagePhase, edit func(*v1alpha2.VirtualImage)) *v1alpha2.VirtualImage {
	o := &v1alpha2.VirtualImage{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "source", UID: "s1"}}
	o.Status.Phase = phase
	if edit != nil {
		edit(o)
	}
	return o
}

func sourceDisk(phase v1alpha2.DiskPhase, inUse ...string) *v1alpha2.VirtualDisk {
	o := &v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "source", UID: "s1"}}
	o.Status.Phase = phase
	o.Status.Target.PersistentVolumeClaimName = "claim"
	if len(inUse) > 0 {
		o.Status.Conditions = []metav1.Condition{{Type: "InUse", Status: metav1.ConditionStatus(inUse[0]), Reason: inUse[1], Message: "used by machine web"}}
	}
	return o
}

func TestObserve(t *testing.T) {
	volume := importer.Source{Volume: &importer.VolumeSource{Namespace: "team", Claim: "claim"}}
	cases := map[string]struct {
		found   observed
		reason  string
		content importer.Source
	}{
		"image":                 {observeImage(sourceImage("Ready", nil), ""), "", artifact("vi/team/source", "s1")},
		"image being imported":  {observeImage(sourceImage("Provisioning", nil), ""), "ImageNotReady", importer.Source{}},
		"image without a phase": {observeImage(sourceImage("", nil), ""), "ImageNotReady", importer.Source{}},
		"image being deleted": {observeImage(sourceImage("Ready", func(o *v1alpha2.VirtualImage) {
			o.DeletionTimestamp = &metav1.Time{Time: start}
		}), ""), "ImageNotReady", importer.Source{}},
		"image in a volume": {observeImage(sourceImage("Ready", func(o *v1alpha2.VirtualImage) {
			o.Status.Target.PersistentVolumeClaimName, o.Status.Format = "claim", "iso"
		}), ""), "", importer.Source{Volume: &importer.VolumeSource{Namespace: "team", Claim: "claim", Format: "iso"}}},
		"disk":                            {observeDisk(sourceDisk("Ready"), ""), "", volume},
		"disk nobody uses":                {observeDisk(sourceDisk("Ready", "False", "NotInUse"), ""), "", volume},
		"disk another image is made from": {observeDisk(sourceDisk("Ready", "True", "UsedForImageCreation"), ""), "", volume},
		"disk of a machine":               {observeDisk(sourceDisk("Ready", "True", "AttachedToVirtualMachine"), ""), "VirtualDiskAttachedToVirtualMachine", importer.Source{}},
		"disk being exported":             {observeDisk(sourceDisk("Ready", "True", "UsedForDataExport"), ""), "VirtualDiskNotReadyForUse", importer.Source{}},
		"disk being made":                 {observeDisk(sourceDisk("Provisioning"), ""), "VirtualDiskNotReady", importer.Source{}},
		"disk that grows":                 {observeDisk(sourceDisk("Resizing"), ""), "VirtualDiskNotReady", importer.Source{}},
		"disk that grows meanwhile":       {observeDisk(sourceDisk("Resizing"), "s1"), "", volume},
		"disk that is lost meanwhile":     {observeDisk(sourceDisk("PVCLost"), "s1"), "VirtualDiskNotReady", importer.Source{}},
		"disk that is deleted meanwhile":  {observeDisk(sourceDisk("Terminating"), "s1"), "", volume},
		"another disk that is deleted":    {observeDisk(sourceDisk("Terminating"), "s0"), "VirtualDiskNotReady", importer.Source{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.found.ready != (c.reason == "") || !c.found.ready && c.found.reason != c.reason {
				t.Errorf("found %+v, want reason %q", c.found.readiness, c.reason)
			}
			if diff := cmp.Diff(c.content, c.found.content); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMadeFromImage follows an image from its source, which is protected meanwhile, to its end.
func TestMadeFromImage(t *testing.T) {
	source := readyImage()
	source.Name, source.UID = "source", "s1"
	copied := madeFrom("VirtualImage", "source")
	w := newWorld(t, source, copied)
	w.run(t, copied)
	job, _ := w.runner.Job("u1")
	if diff := cmp.Diff(artifact("vi/team/source", "s1"), job.Source); diff != "" {
		t.Errorf("source (-want +got):\n%s", diff)
	}
	w.run(t, source)
	if said(source.Status.Conditions, "InUse") != "True UsedForImageCreation" || !protected(source) {
		t.Errorf("the source is %q, finalizers %v", said(source.Status.Conditions, "InUse"), source.Finalizers)
	}
	w.runner.Set("u1", done())
	w.run(t, copied)
	if copied.Status.Phase != v1alpha2.ImageReady || copied.Status.SourceUID == nil || *copied.Status.SourceUID != "s1" {
		t.Errorf("the copy is %s of %v", copied.Status.Phase, copied.Status.SourceUID)
	}
	w.run(t, source)
	if said(source.Status.Conditions, "InUse") != "False NotInUse" || protected(source) {
		t.Errorf("the source stays %q, finalizers %v", said(source.Status.Conditions, "InUse"), source.Finalizers)
	}
}

// TestAnOriginThatIsDeletedInMidImport is read to the end; an image that has not begun does not begin any more.
func TestAnOriginThatIsDeletedInMidImport(t *testing.T) {
	cluster := &v1alpha2.ClusterVirtualImage{ObjectMeta: metav1.ObjectMeta{Name: "source", UID: "s1"}}
	cluster.Status.Phase = v1alpha2.ImageReady
	snapshot := snapshotOf("source")
	tests := map[v1alpha2.ObjectRefKind]struct {
		origin client.Object
		others []client.Object
	}{
		"VirtualImage":        {sourceImage("Ready", nil), nil},
		"ClusterVirtualImage": {cluster, nil},
		"VirtualDisk":         {sourceDisk("Ready"), nil},
		"VirtualDiskSnapshot": {snapshot[0], []client.Object{snapshot[1], classOf(storagev1.VolumeBindingWaitForFirstConsumer)}},
	}
	for kind, test := range tests {
		t.Run(string(kind), func(t *testing.T) {
			test.origin.SetFinalizers([]string{"test/held"})
			copied, late := madeFrom(kind, "source"), madeFrom(kind, "source")
			late.Name, late.UID = "late", "u2"
			w := newWorld(t, append(test.others, test.origin, copied, late)...)
			w.run(t, copied)
			if copied.Status.Phase != v1alpha2.ImageProvisioning {
				t.Fatalf("the image is %s: %s", copied.Status.Phase, message(copied.Status.Conditions, "Ready"))
			}
			if err := w.client.Delete(t.Context(), test.origin); err != nil {
				t.Fatal(err)
			}
			w.terminating(t, test.origin)
			w.run(t, copied)
			w.run(t, late)
			if copied.Status.Phase != v1alpha2.ImageProvisioning || late.Status.Phase != v1alpha2.ImagePending {
				t.Errorf("the image is %s, the one that has not begun %s", copied.Status.Phase, late.Status.Phase)
			}
			w.runner.Set("u1", done())
			w.shelf.Put("vi/team/debian:u1")
			w.run(t, copied)
			if copied.Status.Phase != v1alpha2.ImageReady {
				t.Errorf("in the end the image is %s: %s", copied.Status.Phase, message(copied.Status.Conditions, "Ready"))
			}
		})
	}
}

// terminating lets the controller of an origin that is being deleted say so.
func (w *world) terminating(t *testing.T, origin client.Object) {
	t.Helper()
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(origin), origin); err != nil {
		t.Fatal(err)
	}
	switch o := origin.(type) {
	case *v1alpha2.VirtualImage:
		o.Status.Phase = v1alpha2.ImageTerminating
	case *v1alpha2.ClusterVirtualImage:
		o.Status.Phase = v1alpha2.ImageTerminating
	case *v1alpha2.VirtualDisk:
		o.Status.Phase = v1alpha2.DiskTerminating
	case *v1alpha2.VirtualDiskSnapshot:
		o.Status.Phase = v1alpha2.SnapshotTerminating
	}
	w.updateStatus(t, origin)
}

func protected(o client.Object) bool {
	for _, f := range o.GetFinalizers() {
		if f == virtualImage().protection {
			return true
		}
	}
	return false
}

// TestClusterImageNamesNamespace takes an image of a namespace into a cluster image, and only from there.
func TestClusterImageNamesNamespace(t *testing.T) {
	source := readyImage()
	source.Name, source.UID = "source", "s1"
	cluster := &v1alpha2.ClusterVirtualImage{ObjectMeta: metav1.ObjectMeta{Name: "copy", UID: "c1", Generation: 1}}
	cluster.Spec.DataSource = v1alpha2.ClusterVirtualImageDataSource{
		Type:      v1alpha2.DataSourceObjectRef,
		ObjectRef: &v1alpha2.ClusterVirtualImageObjectRef{Kind: "VirtualImage", Namespace: "team", Name: "source"},
	}
	w := newWorld(t, source, cluster)
	flowtest.Settle(t, w.client, w.clusters, cluster, 10)
	job, _ := w.runner.Job("c1")
	if diff := cmp.Diff(artifact("vi/team/source", "s1"), job.Source); diff != "" {
		t.Errorf("source (-want +got):\n%s", diff)
	}
	if cluster.Status.SourceUID == nil || *cluster.Status.SourceUID != "s1" {
		t.Errorf("the cluster image comes from %v", cluster.Status.SourceUID)
	}
}
