package node

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/node/claim"
	"slipway.dev/slipway/local/node/snapshot"
)

// registration tells the API server of the node and its storage, once, when the manager starts.
type registration struct {
	client client.Client
	reader client.Reader
	node   *corev1.Node
}

// Start registers and returns.
func (r registration) Start(ctx context.Context) error {
	if err := r.registerNode(ctx); err != nil {
		return fmt.Errorf("register node %s: %w", r.node.Name, err)
	}
	for _, class := range []client.Object{
		storageClass(claim.ClassName, storagev1.VolumeBindingImmediate), storageClass(claim.LateClassName, storagev1.VolumeBindingWaitForFirstConsumer),
		snapshotClass(),
	} {
		if err := client.IgnoreAlreadyExists(r.client.Create(ctx, class)); err != nil {
			return fmt.Errorf("register %T %s: %w", class, class.GetName(), err)
		}
	}
	return nil
}

// registerNode creates or updates the Node. Admission taints a new one as not ready, which no kubelet takes back here.
func (r registration) registerNode(ctx context.Context) error {
	node := r.node.DeepCopy()
	err := r.client.Create(ctx, node)
	if apierrors.IsAlreadyExists(err) {
		err = r.reader.Get(ctx, client.ObjectKeyFromObject(r.node), node)
	}
	if err != nil {
		return err //nolint:wrapcheck // wrapped by Start
	}
	before := node.DeepCopy()
	node.Spec.Taints = withoutNotReady(node.Spec.Taints)
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	for key, value := range r.node.Labels {
		node.Labels[key] = value
	}
	if err := r.client.Patch(ctx, node, client.MergeFrom(before)); err != nil {
		return err //nolint:wrapcheck // wrapped by Start
	}
	before = node.DeepCopy()
	node.Status = r.node.Status
	return r.client.Status().Patch(ctx, node, client.MergeFrom(before)) //nolint:wrapcheck // wrapped by Start
}

func withoutNotReady(taints []corev1.Taint) []corev1.Taint {
	var out []corev1.Taint
	for _, t := range taints {
		if t.Key != corev1.TaintNodeNotReady {
			out = append(out, t)
		}
	}
	return out
}

// storageClass is a class of this node. Volumes that are made at once are the default.
func storageClass(name string, binding storagev1.VolumeBindingMode) *storagev1.StorageClass {
	reclaim, expand := corev1.PersistentVolumeReclaimDelete, true
	byDefault := strconv.FormatBool(binding == storagev1.VolumeBindingImmediate)
	return &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": byDefault},
		},
		Provisioner: claim.Provisioner, ReclaimPolicy: &reclaim, VolumeBindingMode: &binding, AllowVolumeExpansion: &expand,
	}
}

func snapshotClass() *snapshotv1.VolumeSnapshotClass {
	return &snapshotv1.VolumeSnapshotClass{
		ObjectMeta: metav1.ObjectMeta{Name: snapshot.ClassName, Annotations: map[string]string{snapshot.DefaultClass: "true"}},
		Driver:     claim.Provisioner, DeletionPolicy: snapshotv1.VolumeSnapshotContentDelete,
	}
}

func nodeObject(name string) *corev1.Node {
	resources := corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(totalMemory(), resource.BinarySI),
		corev1.ResourcePods:   resource.MustParse("110"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH,
			virtv1.NodeSchedulable: "true",
		}},
		Status: corev1.NodeStatus{
			Capacity: resources, Allocatable: resources,
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}, {Type: corev1.NodeHostName, Address: name}},
			NodeInfo:  corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: runtime.GOARCH},
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "SlipwayNodeReady", Message: "guests run as QEMU processes",
			}},
		},
	}
}

// totalMemory is the host's memory in bytes, or zero when the kernel does not tell.
func totalMemory() int64 {
	data, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "MemTotal:" {
			kibibytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kibibytes << 10
		}
	}
	return 0
}

var notInNames = regexp.MustCompile(`[^a-z0-9.-]+`)

// hostName is the host's name in the form that object names have.
func hostName() string {
	name, _ := os.Hostname()
	name = strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-.")
	if name == "" {
		return "localhost"
	}
	return name
}
