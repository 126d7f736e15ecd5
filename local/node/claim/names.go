package claim

import corev1 "k8s.io/api/core/v1"

// What this provisioner is called, and the class that it serves.
const (
	Provisioner = "node.slipway.dev"
	ClassName   = "local"
	// LateClassName is a class like it, whose volumes are made when something uses them.
	LateClassName = "local-wait"
	Finalizer     = "node.slipway.dev/volume"
)

// CDI's annotations on a claim: what to fill it with, and how that goes.
const (
	AnnotationSource        = "cdi.kubevirt.io/storage.import.source"
	AnnotationEndpoint      = "cdi.kubevirt.io/storage.import.endpoint"
	AnnotationSecret        = "cdi.kubevirt.io/storage.import.secretName"
	AnnotationCertConfigMap = "cdi.kubevirt.io/storage.import.certConfigMap"
	AnnotationPhase         = "cdi.kubevirt.io/storage.pod.phase"
	AnnotationProgress      = "cdi.kubevirt.io/storage.populator.progress"
	AnnotationRestarts      = "cdi.kubevirt.io/storage.pod.restarts"
	AnnotationReason        = "cdi.kubevirt.io/storage.condition.running.reason"
	AnnotationMessage       = "cdi.kubevirt.io/storage.condition.running.message"
	AnnotationBindAtOnce    = "cdi.kubevirt.io/storage.bind.immediate.requested"
)

// Values of AnnotationSource.
const (
	SourceRegistry = "registry"
	SourceBlank    = "none"
)

// PhaseWaiting is the AnnotationPhase of a claim whose volume is made when something uses it. CDI's word for a DataVolume.
const PhaseWaiting = "WaitForFirstConsumer"

// Reasons of AnnotationReason.
const (
	ReasonError    = "Error"
	ReasonNoSpace  = "NoSpace"
	ReasonTooSmall = "VolumeTooSmall"
)

// SourceProtection is external-snapshotter's finalizer on a claim whose disk is being copied into a snapshot. Until it is
// lifted the disk stays, and stays as large as it is.
const SourceProtection = "snapshot.storage.kubernetes.io/pvc-as-source-protection"

// Kubernetes' own finalizers, which its controllers lift on a cluster and this package lifts here.
const (
	claimProtection  = "kubernetes.io/pvc-protection"
	volumeProtection = "kubernetes.io/pv-protection"
)

// AnnotationSelectedNode is what Kubernetes' scheduler writes on a claim that something wants to use.
const AnnotationSelectedNode = "volume.kubernetes.io/selected-node"

// Annotations that Kubernetes' binder writes.
const (
	bindCompleted    = "pv.kubernetes.io/bind-completed"
	boundByUs        = "pv.kubernetes.io/bound-by-controller"
	provisionedBy    = "pv.kubernetes.io/provisioned-by"
	storageBy        = "volume.kubernetes.io/storage-provisioner"
	topologyHostname = corev1.LabelHostname
)
