package snapshot

import snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"

// ClassName is the VolumeSnapshotClass of this node's storage.
const ClassName = "local"

// DefaultClass is the annotation that marks, with the value "true", the class of snapshots that name none.
const DefaultClass = "snapshot.storage.kubernetes.io/is-default-class"

// Finalizers of external-snapshotter.
const (
	boundProtection   = "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection"
	contentProtection = "snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection"
)

// contentName is the name that external-snapshotter gives to the content of a snapshot.
func contentName(vs *snapshotv1.VolumeSnapshot) string { return "snapcontent-" + string(vs.UID) }
