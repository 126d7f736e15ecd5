// Package lineage tells what an image is made from, and whether it is being made
// from it right now.
//
// In comes a VirtualImage or ClusterVirtualImage as it was read; out goes the
// object that its data source names. The controllers of images, disks and
// snapshots ask the same question here, so that all of them keep an origin for
// the same time. The package reads no cluster and changes nothing.
package lineage
