// Package storageclass chooses storage classes.
//
// In come the classes of a cluster; out goes the one that Kubernetes would use.
// The package reads nothing by itself and knows no kind of Slipway's.
package storageclass

import (
	storagev1 "k8s.io/api/storage/v1"
)

// annotation marks a class as the cluster's default.
const annotation = "storageclass.kubernetes.io/is-default-class"

// Default is the newest class that is marked as default, as Kubernetes has it;
// nil when there is none.
func Default(classes []storagev1.StorageClass) *storagev1.StorageClass {
	var newest *storagev1.StorageClass
	for i := range classes {
		class := &classes[i]
		if class.Annotations[annotation] != "true" {
			continue
		}
		if newest == nil || newest.CreationTimestamp.Before(&class.CreationTimestamp) {
			newest = class
		}
	}
	return newest
}
