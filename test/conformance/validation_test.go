package conformance

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/config/crd"
	enginecrd "slipway.dev/slipway/local/node/crd"
	"slipway.dev/slipway/test/kubetest"
)

const (
	group          = "virtualization.deckhouse.io"
	referenceGroup = "reference.virtualization.deckhouse.io"
)

// machine is a VirtualMachine's spec with what each must have.
const machine = `
virtualMachineClassName: generic
cpu: {cores: 1}
memory: {size: 1Gi}
blockDeviceRefs: [{kind: VirtualDisk, name: root}]
`

// validation is an object, and whether the API server takes it.
type validation struct {
	kind    string
	version string // v1alpha2 when empty
	spec    string
	changed string // when set, the object is made first and then changed to this
	refused string // what the refusal names; empty when the object is taken
}

func (v validation) object(group, spec, namespace string) (*unstructured.Unstructured, error) {
	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(spec), &object); err != nil {
		return nil, err
	}
	version := v.version
	if version == "" {
		version = "v1alpha2"
	}
	u := &unstructured.Unstructured{Object: map[string]any{"spec": object}}
	u.SetAPIVersion(group + "/" + version)
	u.SetKind(v.kind)
	u.SetGenerateName("validation-")
	if v.kind != "VirtualMachineClass" && v.kind != "ClusterVirtualImage" {
		u.SetNamespace(namespace)
	}
	return u, nil
}

var validations = map[string]validation{
	"machine":                            {kind: "VirtualMachine", spec: machine},
	"machine without class":              {kind: "VirtualMachine", spec: strings.Replace(machine, "virtualMachineClassName: generic", "", 1), refused: "spec.virtualMachineClassName"},
	"machine without cores":              {kind: "VirtualMachine", spec: machine + "cpu: {cores: 0}", refused: "spec.cpu.cores"},
	"machine with a fraction":            {kind: "VirtualMachine", spec: machine + "cpu: {cores: 1, coreFraction: 50%}"},
	"machine with fraction 0%":           {kind: "VirtualMachine", spec: machine + "cpu: {cores: 1, coreFraction: 0%}", refused: "spec.cpu.coreFraction"},
	"machine with fraction 101%":         {kind: "VirtualMachine", spec: machine + "cpu: {cores: 1, coreFraction: 101%}", refused: "spec.cpu.coreFraction"},
	"machine with fraction 50":           {kind: "VirtualMachine", spec: machine + "cpu: {cores: 1, coreFraction: '50'}", refused: "spec.cpu.coreFraction"},
	"machine with memory as a number":    {kind: "VirtualMachine", spec: machine + "memory: {size: 1073741824}", refused: "spec.memory.size"},
	"machine with memory in words":       {kind: "VirtualMachine", spec: machine + "memory: {size: much}", refused: "spec.memory.size"},
	"machine without disks":              {kind: "VirtualMachine", spec: machine + "blockDeviceRefs: []", refused: "spec.blockDeviceRefs"},
	"machine with 17 disks":              {kind: "VirtualMachine", spec: machine + "blockDeviceRefs: [" + strings.Repeat("{kind: VirtualDisk, name: a},", 17) + "]", refused: "spec.blockDeviceRefs"},
	"machine with a disk of no kind":     {kind: "VirtualMachine", spec: machine + "blockDeviceRefs: [{kind: Disk, name: a}]", refused: "spec.blockDeviceRefs[0].kind"},
	"machine with an unknown policy":     {kind: "VirtualMachine", spec: machine + "runPolicy: Sometimes", refused: "spec.runPolicy"},
	"user data":                          {kind: "VirtualMachine", spec: machine + "provisioning: {type: UserData, userData: '#cloud-config'}"},
	"user data of 2048 characters":       {kind: "VirtualMachine", spec: machine + "provisioning: {type: UserData, userData: '" + strings.Repeat("x", 2048) + "'}"},
	"user data of 2049 characters":       {kind: "VirtualMachine", spec: machine + "provisioning: {type: UserData, userData: '" + strings.Repeat("x", 2049) + "'}", refused: "spec.provisioning"},
	"user data that is not there":        {kind: "VirtualMachine", spec: machine + "provisioning: {type: UserData}", refused: "spec.provisioning"},
	"user data and a secret":             {kind: "VirtualMachine", spec: machine + "provisioning: {type: UserData, userData: a, userDataRef: {name: a}}", refused: "spec.provisioning"},
	"user data and sysprep":              {kind: "VirtualMachine", spec: machine + "provisioning: {type: UserData, userData: a, sysprepRef: {name: a}}", refused: "spec.provisioning"},
	"secret":                             {kind: "VirtualMachine", spec: machine + "provisioning: {type: UserDataRef, userDataRef: {name: a}}"},
	"secret without name":                {kind: "VirtualMachine", spec: machine + "provisioning: {type: UserDataRef, userDataRef: {kind: Secret}}", refused: "spec.provisioning.userDataRef.name"},
	"secret of another kind":             {kind: "VirtualMachine", spec: machine + "provisioning: {type: UserDataRef, userDataRef: {kind: ConfigMap, name: a}}", refused: "spec.provisioning.userDataRef.kind"},
	"secret that is not there":           {kind: "VirtualMachine", spec: machine + "provisioning: {type: UserDataRef}", refused: "spec.provisioning"},
	"secret with user data":              {kind: "VirtualMachine", spec: machine + "provisioning: {type: UserDataRef, userDataRef: {name: a}, userData: a}", refused: "spec.provisioning"},
	"secret with sysprep":                {kind: "VirtualMachine", spec: machine + "provisioning: {type: UserDataRef, userDataRef: {name: a}, sysprepRef: {name: a}}", refused: "spec.provisioning"},
	"sysprep":                            {kind: "VirtualMachine", spec: machine + "provisioning: {type: SysprepRef, sysprepRef: {name: a}}"},
	"sysprep that is not there":          {kind: "VirtualMachine", spec: machine + "provisioning: {type: SysprepRef}", refused: "spec.provisioning"},
	"sysprep with user data":             {kind: "VirtualMachine", spec: machine + "provisioning: {type: SysprepRef, sysprepRef: {name: a}, userData: a}", refused: "spec.provisioning"},
	"sysprep with a secret":              {kind: "VirtualMachine", spec: machine + "provisioning: {type: SysprepRef, sysprepRef: {name: a}, userDataRef: {name: a}}", refused: "spec.provisioning"},
	"provisioning of another type":       {kind: "VirtualMachine", spec: machine + "provisioning: {type: Ignition, userData: a}", refused: "spec.provisioning.type"},
	"provisioning of no type":            {kind: "VirtualMachine", spec: machine + "provisioning: {userData: a}", refused: "spec.provisioning.type"},
	"node preference of weight 1":        {kind: "VirtualMachine", spec: machine + nodePreference("1")},
	"node preference of weight 100":      {kind: "VirtualMachine", spec: machine + nodePreference("100")},
	"node preference of weight 0":        {kind: "VirtualMachine", spec: machine + nodePreference("0"), refused: "spec.affinity.nodeAffinity"},
	"node preference of weight 101":      {kind: "VirtualMachine", spec: machine + nodePreference("101"), refused: "spec.affinity.nodeAffinity"},
	"machine preference of weight 100":   {kind: "VirtualMachine", spec: machine + machinePreference("100")},
	"machine preference of weight 101":   {kind: "VirtualMachine", spec: machine + machinePreference("101"), refused: "spec.affinity.virtualMachineAndPodAffinity"},
	"main network":                       {kind: "VirtualMachine", spec: machine + "networks: [{type: Main}]"},
	"network of no type":                 {kind: "VirtualMachine", spec: machine + "networks: [{name: a}]", refused: "spec.networks[0].type"},
	"nine USB devices":                   {kind: "VirtualMachine", spec: machine + "usbDevices: [" + strings.Repeat("{name: a},", 9) + "]", refused: "spec.usbDevices"},
	"blank disk":                         {kind: "VirtualDisk", spec: "persistentVolumeClaim: {size: 1Gi}"},
	"blank disk with size as a number":   {kind: "VirtualDisk", spec: "persistentVolumeClaim: {size: 1073741824}"},
	"disk with size in words":            {kind: "VirtualDisk", spec: "persistentVolumeClaim: {size: large}", refused: "spec.persistentVolumeClaim.size"},
	"disk from the web":                  {kind: "VirtualDisk", spec: "dataSource: {type: HTTP, http: {url: 'https://example.com/a.qcow2'}}"},
	"disk from an ftp server":            {kind: "VirtualDisk", spec: "dataSource: {type: HTTP, http: {url: 'ftp://example.com/a.qcow2'}}", refused: "spec.dataSource.http.url"},
	"disk from a disk":                   {kind: "VirtualDisk", spec: "dataSource: {type: ObjectRef, objectRef: {kind: VirtualDisk, name: a}}", refused: "spec.dataSource.objectRef.kind"},
	"disk from the web without address":  {kind: "VirtualDisk", spec: "dataSource: {type: HTTP}", refused: "spec.dataSource"},
	"disk from the web and a registry":   {kind: "VirtualDisk", spec: "dataSource: {type: HTTP, http: {url: 'https://example.com/a'}, containerImage: {image: a}}", refused: "spec.dataSource"},
	"image from the web":                 {kind: "VirtualImage", spec: "dataSource: {type: HTTP, http: {url: 'https://example.com/a', checksum: {sha256: '" + strings.Repeat("a", 64) + "'}}}"},
	"image with a short checksum":        {kind: "VirtualImage", spec: "dataSource: {type: HTTP, http: {url: 'https://example.com/a', checksum: {sha256: abc}}}", refused: "spec.dataSource.http.checksum.sha256"},
	"image from a registry":              {kind: "VirtualImage", spec: "dataSource: {type: ContainerImage, containerImage: {image: 'registry.example.com:5000/a/b:v1'}}"},
	"image from no reference":            {kind: "VirtualImage", spec: "dataSource: {type: ContainerImage, containerImage: {image: 'A B'}}", refused: "spec.dataSource.containerImage.image"},
	"image from a registry, half":        {kind: "VirtualImage", spec: "dataSource: {type: ContainerImage, http: {url: 'https://example.com/a'}}", refused: "spec.dataSource"},
	"image from a disk":                  {kind: "VirtualImage", spec: "dataSource: {type: ObjectRef, objectRef: {kind: VirtualDisk, name: a}}"},
	"image from an object, half":         {kind: "VirtualImage", spec: "dataSource: {type: ObjectRef}", refused: "spec.dataSource"},
	"image by upload":                    {kind: "VirtualImage", spec: "storage: PersistentVolumeClaim\ndataSource: {type: Upload}"},
	"image in the attic":                 {kind: "VirtualImage", spec: "storage: Attic\ndataSource: {type: Upload}", refused: "spec.storage"},
	"cluster image from an image":        {kind: "ClusterVirtualImage", spec: "dataSource: {type: ObjectRef, objectRef: {kind: VirtualImage, name: a, namespace: b}}"},
	"cluster image from a cluster image": {kind: "ClusterVirtualImage", spec: "dataSource: {type: ObjectRef, objectRef: {kind: ClusterVirtualImage, name: a}}"},
	"cluster image from nowhere":         {kind: "ClusterVirtualImage", spec: "dataSource: {type: ObjectRef, objectRef: {kind: VirtualDisk, name: a}}", refused: "spec.dataSource.objectRef"},
	"cluster image from far":             {kind: "ClusterVirtualImage", spec: "dataSource: {type: ObjectRef, objectRef: {kind: VirtualDiskSnapshot, name: a, namespace: " + strings.Repeat("n", 64) + "}}", refused: "spec.dataSource.objectRef"},
	"class of a model":                   {kind: "VirtualMachineClass", spec: "cpu: {type: Model, model: Nehalem}"},
	"class of no model":                  {kind: "VirtualMachineClass", spec: "cpu: {type: Model}", refused: "spec.cpu"},
	"class of the host with a model":     {kind: "VirtualMachineClass", spec: "cpu: {type: Host, model: Nehalem}", refused: "spec.cpu"},
	"class of features":                  {kind: "VirtualMachineClass", spec: "cpu: {type: Features, features: [sse2]}"},
	"class of features and a model":      {kind: "VirtualMachineClass", spec: "cpu: {type: Features, features: [sse2], model: Nehalem}", refused: "spec.cpu"},
	"class of discovered features":       {kind: "VirtualMachineClass", spec: "cpu: {type: Discovery, discovery: {nodeSelector: {matchLabels: {a: b}}}}"},
	"class of discovery and features":    {kind: "VirtualMachineClass", spec: "cpu: {type: Discovery, features: [sse2]}", refused: "spec.cpu"},
	"class that changes its nodes":       {kind: "VirtualMachineClass", spec: "cpu: {type: Host}", changed: "cpu: {type: Host}\nnodeSelector: {matchLabels: {a: b}}"},
	"class that changes its processor":   {kind: "VirtualMachineClass", spec: "cpu: {type: Host}", changed: "cpu: {type: HostPassthrough}", refused: "spec.cpu"},
	"sizes":                              {kind: "VirtualMachineClass", spec: sizing("cores: {min: 1, max: 4, step: 1}, coreFractions: [5, 100], defaultCoreFraction: 5")},
	"sizes from large to small":          {kind: "VirtualMachineClass", spec: sizing("cores: {min: 4, max: 4}"), refused: "spec.sizingPolicies[0].cores"},
	"sizes in too large steps":           {kind: "VirtualMachineClass", spec: sizing("cores: {min: 1, max: 4, step: 4}"), refused: "spec.sizingPolicies[0].cores"},
	"sizes above all":                    {kind: "VirtualMachineClass", spec: sizing("cores: {min: 1, max: 1025}"), refused: "spec.sizingPolicies[0].cores.max"},
	"fraction above a whole":             {kind: "VirtualMachineClass", spec: sizing("cores: {min: 1, max: 4}, coreFractions: [101]"), refused: "spec.sizingPolicies[0].coreFractions[0]"},
	"fraction as a percentage":           {kind: "VirtualMachineClass", spec: sizing("cores: {min: 1, max: 4}, coreFractions: [50%]"), refused: "spec.sizingPolicies[0].coreFractions[0]"},
	"fraction as a percentage, v1alpha3": {kind: "VirtualMachineClass", version: "v1alpha3", spec: sizing("cores: {min: 1, max: 4}, coreFractions: [50%]")},
	"fraction as a number, v1alpha3":     {kind: "VirtualMachineClass", version: "v1alpha3", spec: sizing("cores: {min: 1, max: 4}, coreFractions: [50]"), refused: "spec.sizingPolicies[0].coreFractions[0]"},
	"attachment":                         {kind: "VirtualMachineBlockDeviceAttachment", spec: "virtualMachineName: a\nblockDeviceRef: {kind: VirtualDisk, name: a}"},
	"attachment to no machine":           {kind: "VirtualMachineBlockDeviceAttachment", spec: "blockDeviceRef: {kind: VirtualDisk, name: a}", refused: "spec.virtualMachineName"},
	"address":                            {kind: "VirtualMachineIPAddress", spec: "type: Auto"},
	"address of another type":            {kind: "VirtualMachineIPAddress", spec: "type: Guess", refused: "spec.type"},
	"hardware address":                   {kind: "VirtualMachineMACAddress", spec: "address: 02:00:00:aa:bb:cc"},
	"hardware address, short":            {kind: "VirtualMachineMACAddress", spec: "address: 02:00:00:aa:bb", refused: "spec.address"},
	"forced stop":                        {kind: "VirtualMachineOperation", spec: "type: Stop\nvirtualMachineName: a\nforce: true"},
	"forced start":                       {kind: "VirtualMachineOperation", spec: "type: Start\nvirtualMachineName: a\nforce: true", refused: "spec"},
	"restore":                            {kind: "VirtualMachineOperation", spec: "type: Restore\nvirtualMachineName: a\nrestore: {mode: Strict, virtualMachineSnapshotName: a}"},
	"restore of nothing":                 {kind: "VirtualMachineOperation", spec: "type: Restore\nvirtualMachineName: a", refused: "spec"},
	"clone":                              {kind: "VirtualMachineOperation", spec: "type: Clone\nvirtualMachineName: a\nclone: {mode: Strict, customization: {nameSuffix: -b}}"},
	"clone with a new name":              {kind: "VirtualMachineOperation", spec: "type: Clone\nvirtualMachineName: a\nclone: {mode: Strict, nameReplacement: [{from: {name: a}, to: b}]}"},
	"clone of nothing":                   {kind: "VirtualMachineOperation", spec: "type: Clone\nvirtualMachineName: a", refused: "spec"},
	"clone of the same name":             {kind: "VirtualMachineOperation", spec: "type: Clone\nvirtualMachineName: a\nclone: {mode: Strict}", refused: "spec.clone"},
	"clone with an empty suffix":         {kind: "VirtualMachineOperation", spec: "type: Clone\nvirtualMachineName: a\nclone: {mode: Strict, customization: {namePrefix: a, nameSuffix: ''}}", refused: "spec.clone.customization"},
	"clone with a long new name":         {kind: "VirtualMachineOperation", spec: "type: Clone\nvirtualMachineName: a\nclone: {mode: Strict, nameReplacement: [{from: {name: a}, to: " + strings.Repeat("b", 60) + "}]}", refused: "spec.clone.nameReplacement"},
	"move to a node":                     {kind: "VirtualMachineOperation", spec: "type: Migrate\nvirtualMachineName: a\nmigrate: {nodeSelector: {a: b}}"},
	"stop at a node":                     {kind: "VirtualMachineOperation", spec: "type: Stop\nvirtualMachineName: a\nmigrate: {nodeSelector: {a: b}}", refused: "spec"},
	"operation that changes":             {kind: "VirtualMachineOperation", spec: "type: Stop\nvirtualMachineName: a", changed: "type: Stop\nvirtualMachineName: b", refused: "spec"},
	"snapshot of a disk":                 {kind: "VirtualDiskSnapshot", spec: "virtualDiskName: a"},
	"snapshot of no disk":                {kind: "VirtualDiskSnapshot", spec: "requiredConsistency: false", refused: "spec.virtualDiskName"},
	"snapshot of a machine":              {kind: "VirtualMachineSnapshot", spec: "virtualMachineName: a"},
	"snapshot with half an address":      {kind: "VirtualMachineSnapshot", spec: "virtualMachineName: a\nkeepIPAddress: Half", refused: "spec.keepIPAddress"},
	"old restore":                        {kind: "VirtualMachineRestore", spec: "virtualMachineSnapshotName: a"},
	"old restore in another mode":        {kind: "VirtualMachineRestore", spec: "virtualMachineSnapshotName: a\nrestoreMode: Hard", refused: "spec.restoreMode"},
	"new machine from a snapshot":        {kind: "VirtualMachineSnapshotOperation", spec: "type: CreateVirtualMachine\nvirtualMachineSnapshotName: a\ncreateVirtualMachine: {mode: Strict, customization: {namePrefix: a-}}"},
	"snapshot operation that changes":    {kind: "VirtualMachineSnapshotOperation", spec: "type: CreateVirtualMachine\nvirtualMachineSnapshotName: a", changed: "type: CreateVirtualMachine\nvirtualMachineSnapshotName: b", refused: "spec"},
}

func nodePreference(weight string) string {
	return "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: " + weight + ", preference: {}}]}}"
}

func machinePreference(weight string) string {
	return "affinity: {virtualMachineAndPodAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: " + weight + ", virtualMachineAndPodAffinityTerm: {topologyKey: a}}]}}"
}

func sizing(policy string) string {
	return "cpu: {type: Host}\nsizingPolicies: [{" + policy + "}]"
}

// TestValidation asks a real API server which objects it takes.
func TestValidation(t *testing.T) {
	c := newClient(t, crd.Files, enginecrd.Files)
	namespace := kubetest.Namespace(t, c)
	for name, v := range validations {
		t.Run(name, func(t *testing.T) {
			err := v.submit(t, c, group, namespace)
			switch {
			case v.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case v.refused != "" && err == nil:
				t.Errorf("taken, want a refusal that names %s", v.refused)
			case v.refused != "" && !strings.Contains(err.Error(), v.refused):
				t.Errorf("refused by %q, which does not name %s", err, v.refused)
			}
		})
	}
}

// TestSameMeaning asks the same API server with the reference's definitions, under a group of their own.
func TestSameMeaning(t *testing.T) {
	c := newClient(t, regrouped(t, reference(t, "crds")))
	namespace := kubetest.Namespace(t, c)
	for name, v := range validations {
		t.Run(name, func(t *testing.T) {
			err := v.submit(t, c, referenceGroup, namespace)
			if refused := err != nil; refused != (v.refused != "") {
				t.Errorf("the reference says %v, the table says refused: %q", err, v.refused)
			}
		})
	}
}

// submit sends the object, and its change if it has one, and keeps nothing.
func (v validation) submit(t *testing.T, c client.Client, group, namespace string) error {
	t.Helper()
	object, err := v.object(group, v.spec, namespace)
	if err != nil {
		t.Fatal(err)
	}
	if v.changed == "" {
		return c.Create(t.Context(), object, client.DryRunAll)
	}
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatalf("make the object that is to be changed: %v", err)
	}
	changed, err := v.object(group, v.changed, namespace)
	if err != nil {
		t.Fatal(err)
	}
	object.Object["spec"] = changed.Object["spec"]
	return c.Update(t.Context(), object, client.DryRunAll)
}

// newClient talks to an API server with some definitions. Unknown fields are refused.
func newClient(t *testing.T, trees ...fs.FS) client.Client {
	t.Helper()
	c, err := client.New(kubetest.StartFS(t, trees...), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return client.WithFieldValidation(c, metav1.FieldValidationStrict)
}

// regrouped are the reference's definitions under another group, so that they can stand beside Slipway's.
func regrouped(t *testing.T, tree fs.FS) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	for name, definition := range definitions(t, tree) {
		definition.Spec.Group = referenceGroup
		definition.Name = name + "." + referenceGroup
		raw, err := yaml.Marshal(definition)
		if err != nil {
			t.Fatal(err)
		}
		out[name+".yaml"] = &fstest.MapFile{Data: raw}
	}
	return out
}
