package kustomize

import (
	"fmt"
	"testing"
	"testing/fstest"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// pairs is an overlay with namespace, prefix and a patch over n pairs of a machine and its disk.
func pairs(n int) fstest.MapFS {
	files := fstest.MapFS{}
	list := "resources:\n"
	for i := range n {
		files[fmt.Sprintf("base/vm-%d.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, machineAndDisk, i)}
		list += fmt.Sprintf("- vm-%d.yaml\n", i)
	}
	files["base/kustomization.yaml"] = &fstest.MapFile{Data: []byte(list)}
	files["kustomization.yaml"] = &fstest.MapFile{Data: []byte(`namespace: shop
namePrefix: dev-
resources: [base]
patches:
- target: {kind: VirtualMachine}
  patch: |-
    - op: replace
      path: /spec/cpu/cores
      value: 4
`)}
	return files
}

const machineAndDisk = `apiVersion: virtualization.deckhouse.io/v1alpha2
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

func BenchmarkRender(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		files := pairs(n)
		b.Run(fmt.Sprintf("plain krusty/%d", n), func(b *testing.B) {
			memory := filesys.MakeFsInMemory()
			for name, f := range files {
				if err := memory.WriteFile("/"+name, f.Data); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if _, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, "/"); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("slipway/%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := Render(b.Context(), files, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
