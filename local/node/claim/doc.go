// Package claim does for PersistentVolumeClaims what a CSI driver, the claim binder and CDI's importer do on a cluster.
//
// In: claims of the StorageClass that names this provisioner, with CDI's import annotations when a DataVolume made them.
// Out: volumes as files, PersistentVolumes, claims that are bound once their content is complete, grown disks, and no
// file any more when a claim is deleted. A claim may name a VolumeSnapshot that it is filled from. A volume in use is never removed, and neither is one that somebody else's
// finalizer still holds.
package claim
