// Package volume keeps disks as files: one qcow2 for each volume, over raw base images that are restored from DVCR once
// for each digest and shared.
//
//	images/<digest>.raw              a base image, complete as soon as it has this name
//	volumes/<id>/disk.qcow2          a volume
//	volumes/<id>/volume.json         what it was made from
//	snapshots/<id>/                  the same for what a volume held at one moment
//
// In: references into a registry and sizes. Out: files. It never removes a volume unless told to, never removes a base
// that an overlay needs, and knows no Kubernetes object.
package volume
