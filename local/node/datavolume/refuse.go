package datavolume

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
)

// refuse says why a DataVolume cannot be filled here, or nothing.
func refuse(dv *cdiv1.DataVolume) string {
	s := &dv.Spec
	switch {
	case s.SourceRef != nil:
		return "sourceRef is not implemented on this node: use source.registry or source.blank"
	case s.Source == nil || s.Source.Registry == nil && s.Source.Blank == nil:
		return "this node fills volumes from source.registry or source.blank only"
	case s.Source.Registry != nil && s.Source.Blank != nil:
		return "source names both registry and blank"
	case s.PVC == nil && s.Storage == nil:
		return "neither storage nor pvc is given"
	case s.ContentType != "" && s.ContentType != cdiv1.DataVolumeKubeVirt:
		return fmt.Sprintf("contentType %s is not implemented on this node", s.ContentType)
	case len(s.Checkpoints) > 0 || s.FinalCheckpoint:
		return "checkpoints are not implemented on this node"
	case s.Preallocation != nil && *s.Preallocation:
		return "preallocation is not implemented on this node: volumes grow as they are written"
	case size(s).Sign() <= 0:
		return "no size is requested: set storage.resources.requests.storage"
	}
	return refuseRegistry(s.Source.Registry)
}

func refuseRegistry(r *cdiv1.DataVolumeSourceRegistry) string {
	switch {
	case r == nil:
		return ""
	case r.ImageStream != nil || r.Platform != nil:
		return "source.registry.imageStream and platform are not implemented on this node"
	case r.URL == nil || !strings.HasPrefix(*r.URL, "docker://"):
		return "source.registry.url must begin with docker://"
	}
	return ""
}

// size is what the DataVolume requests.
func size(s *cdiv1.DataVolumeSpec) *resource.Quantity {
	if s.Storage != nil {
		return s.Storage.Resources.Requests.Storage()
	}
	return s.PVC.Resources.Requests.Storage()
}
