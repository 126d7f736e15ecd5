package datavolume

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/local/node/claim"
)

func volumeOf(t *testing.T, spec string) *cdiv1.DataVolume {
	t.Helper()
	dv := &cdiv1.DataVolume{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "root", UID: "u", Labels: map[string]string{"app.kubernetes.io/name": "x"}}}
	if err := yaml.UnmarshalStrict([]byte(spec), &dv.Spec); err != nil {
		t.Fatal(err)
	}
	return dv
}

const sized = "storage: {resources: {requests: {storage: 1Gi}}}\n"

func TestRefuse(t *testing.T) {
	tests := map[string]struct {
		spec    string
		refused bool
	}{
		"blank":               {spec: sized + "source: {blank: {}}"},
		"registry":            {spec: sized + `source: {registry: {url: "docker://h/r:t", secretRef: s, certConfigMap: c}}`},
		"pvc form":            {spec: "pvc: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\nsource: {blank: {}}"},
		"http":                {spec: sized + "source: {http: {url: 'http://x'}}", refused: true},
		"clone":               {spec: sized + "source: {pvc: {namespace: a, name: b}}", refused: true},
		"source reference":    {spec: sized + "sourceRef: {kind: DataSource, name: x}", refused: true},
		"no source":           {spec: sized, refused: true},
		"no size":             {spec: "storage: {}\nsource: {blank: {}}", refused: true},
		"neither form":        {spec: "source: {blank: {}}", refused: true},
		"image stream":        {spec: sized + "source: {registry: {imageStream: x}}", refused: true},
		"archive in a folder": {spec: sized + "source: {registry: {url: 'oci-archive:x'}}", refused: true},
		"archive content":     {spec: sized + "source: {blank: {}}\ncontentType: archive", refused: true},
		"preallocation":       {spec: sized + "source: {blank: {}}\npreallocation: true", refused: true},
		"no preallocation":    {spec: sized + "source: {blank: {}}\npreallocation: false"},
		"checkpoints":         {spec: sized + "source: {blank: {}}\ncheckpoints: [{current: a, previous: b}]", refused: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := refuse(volumeOf(t, tc.spec)); (got != "") != tc.refused {
				t.Errorf("refused %q, want a refusal: %v", got, tc.refused)
			}
		})
	}
}

func TestClaimForARegistry(t *testing.T) {
	dv := volumeOf(t, sized+`source: {registry: {url: "docker://h/r:t", secretRef: s, certConfigMap: c}}`)
	got := claimFor(dv)
	block := corev1.PersistentVolumeBlock
	want := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "root", Labels: map[string]string{"app": "containerized-data-importer", "app.kubernetes.io/name": "x"},
			Annotations: map[string]string{
				"cdi.kubevirt.io/storage.import.source": "registry", "cdi.kubevirt.io/storage.import.endpoint": "docker://h/r:t",
				"cdi.kubevirt.io/storage.import.secretName": "s", "cdi.kubevirt.io/storage.import.certConfigMap": "c",
			},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(dv, cdiv1.SchemeGroupVersion.WithKind("DataVolume"))},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, VolumeMode: &block,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
}

// told is what a status says, without times.
type told struct {
	Phase, Progress       string
	Bound, Running, Ready string
	Restarts              int32
}

func tell(s cdiv1.DataVolumeStatus) told {
	out := told{Phase: string(s.Phase), Progress: string(s.Progress), Restarts: s.RestartCount}
	for _, c := range s.Conditions {
		text := string(c.Status) + " " + c.Reason
		switch c.Type {
		case cdiv1.DataVolumeBound:
			out.Bound = text
		case cdiv1.DataVolumeRunning:
			out.Running = text
		case cdiv1.DataVolumeReady:
			out.Ready = text
		}
	}
	return out
}

func TestStatusFollowsTheClaim(t *testing.T) {
	pvc := func(phase corev1.PersistentVolumeClaimPhase, annotations ...string) *corev1.PersistentVolumeClaim {
		out := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "root", Annotations: map[string]string{}}}
		out.Status.Phase = phase
		for i := 0; i+1 < len(annotations); i += 2 {
			out.Annotations[annotations[i]] = annotations[i+1]
		}
		return out
	}
	tests := map[string]struct {
		view View
		want told
	}{
		"refused":        {View{Refused: "no"}, told{Phase: "Failed", Progress: "N/A", Bound: "False Unsupported", Running: "False Unsupported", Ready: "False Unsupported"}},
		"no claim":       {View{Blocked: Blocker{ReasonExceededQuota, "full"}}, told{Phase: "Pending", Progress: "N/A", Bound: "False ErrExceededQuota", Running: "False ", Ready: "False ErrExceededQuota"}},
		"its claim lost": {View{Blocked: Blocker{ReasonLost, "gone"}}, told{Phase: "Failed", Progress: "N/A", Bound: "False ClaimLost", Running: "False ", Ready: "False ClaimLost"}},
		"a new claim":    {View{Claim: pvc("")}, told{Phase: "ImportScheduled", Progress: "N/A", Bound: "False Pending", Running: "False ", Ready: "False "}},
		"a claim that waits for its first consumer": {
			View{Claim: pvc(corev1.ClaimPending, claim.AnnotationPhase, "WaitForFirstConsumer")},
			told{Phase: "WaitForFirstConsumer", Progress: "N/A", Bound: "False Pending", Running: "False ", Ready: "False "},
		},
		"in transfer": {
			View{Claim: pvc(corev1.ClaimPending, claim.AnnotationPhase, "Running", claim.AnnotationProgress, "12.50%")},
			told{Phase: "ImportInProgress", Progress: "12.50%", Bound: "False Pending", Running: "True TransferRunning", Ready: "False TransferRunning"},
		},
		"a failed transfer": {
			View{Claim: pvc(corev1.ClaimPending, claim.AnnotationPhase, "Running", claim.AnnotationReason, "NoSpace", claim.AnnotationRestarts, "3")},
			told{Phase: "ImportInProgress", Progress: "N/A", Bound: "False Pending", Running: "False NoSpace", Ready: "False NoSpace", Restarts: 3},
		},
		"filled": {View{Claim: pvc(corev1.ClaimBound)}, told{Phase: "Succeeded", Progress: "100.0%", Bound: "True Bound", Running: "False Completed", Ready: "True "}},
		"lost":   {View{Claim: pvc(corev1.ClaimLost)}, told{Phase: "Failed", Bound: "False ClaimLost", Running: "False ClaimLost", Ready: "False ClaimLost"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.view.DV = &cdiv1.DataVolume{}
			if diff := cmp.Diff(tc.want, tell(Status(tc.view))); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAStatusThatDidNotChangeIsEqual(t *testing.T) {
	dv := &cdiv1.DataVolume{}
	pvc := &corev1.PersistentVolumeClaim{}
	pvc.Status.Phase = corev1.ClaimBound
	dv.Status = Status(View{DV: dv, Claim: pvc, Now: metav1.NewTime(time.Unix(1, 0))})
	if diff := cmp.Diff(dv.Status, Status(View{DV: dv, Claim: pvc, Now: metav1.NewTime(time.Unix(2, 0))})); diff != "" {
		t.Errorf("second status (-first +second):\n%s", diff)
	}
}
