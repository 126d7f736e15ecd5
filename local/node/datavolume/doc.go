// Package datavolume does for DataVolumes what CDI does: one claim each, and a status that follows the claim.
//
// In: DataVolumes with a registry or blank source. Out: PersistentVolumeClaims with CDI's import annotations, and CDI's
// phases, progress and conditions. It moves no data: package claim fills the claim. Other sources are refused with phase
// Failed and a message.
package datavolume
