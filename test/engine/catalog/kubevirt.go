package catalog

import (
	"slipway.dev/slipway/test/engine/build"
	"slipway.dev/slipway/test/engine/kubevirt"
)

func virtualization(root string) (Component, error) {
	return Component{Name: KubeVirt, Modules: []build.Module{kubevirt.Module(root)}}, nil
}
