package disk

import (
	"strings"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// Longest name of an object that is a DNS subdomain.
const maxName = 253

// volumeName is the name of a disk's DataVolume and claim.
func volumeName(vd *v1alpha2.VirtualDisk) string { return derived("d8v-vd-", vd) }

// credentialsName is the name of the Secret with which a DataVolume pulls from
// DVCR, authorityName that of the ConfigMap with DVCR's certificates.
func credentialsName(vd *v1alpha2.VirtualDisk) string { return derived("d8v-vd-dvcr-auth-dv-", vd) }
func authorityName(vd *v1alpha2.VirtualDisk) string   { return derived("d8v-vd-dvcr-ca-", vd) }

// artifactName is where content from outside lies in DVCR.
func artifactName(vd *v1alpha2.VirtualDisk) string {
	return "vd/" + vd.Namespace + "/" + vd.Name + ":" + string(vd.UID)
}

// derived cuts the disk's name, never its UID, to what a name may be long.
func derived(prefix string, vd *v1alpha2.VirtualDisk) string {
	suffix := "-" + string(vd.UID)
	name := vd.Name
	if room := maxName - len(prefix) - len(suffix); len(name) > room {
		name = strings.TrimRight(name[:room], "-.")
	}
	return prefix + name + suffix
}
