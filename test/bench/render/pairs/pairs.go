// Package pairs is the source that renders are measured with: an overlay with a prefix, a namespace and a patch over pairs
// of a virtual machine and its disk.
//
// In comes how many; out go the files. It never renders.
package pairs

import (
	"fmt"
	"testing/fstest"
)

const pair = `apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata:
  name: web-%[1]d
spec:
  virtualMachineClassName: generic
  runPolicy: AlwaysOn
  cpu: {cores: 2, coreFraction: 50%%}
  memory: {size: 1Gi}
  blockDeviceRefs:
  - kind: VirtualDisk
    name: web-%[1]d-root
  provisioning:
    type: UserData
    userData: |
      #cloud-config
      hostname: web
---
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata:
  name: web-%[1]d-root
spec:
  persistentVolumeClaim: {size: 10Gi}
  dataSource:
    type: ObjectRef
    objectRef: {kind: VirtualImage, name: debian}
`

const overlay = `namespace: shop
namePrefix: dev-
resources: [base]
patches:
- target: {kind: VirtualMachine}
  patch: |-
    - op: replace
      path: /spec/cpu/cores
      value: 4
`

// Source is an overlay over n pairs.
func Source(n int) fstest.MapFS {
	files := fstest.MapFS{"kustomization.yaml": {Data: []byte(overlay)}}
	list := "resources:\n"
	for i := range n {
		files[fmt.Sprintf("base/vm-%d.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, pair, i)}
		list += fmt.Sprintf("- vm-%d.yaml\n", i)
	}
	files["base/kustomization.yaml"] = &fstest.MapFile{Data: []byte(list)}
	return files
}
