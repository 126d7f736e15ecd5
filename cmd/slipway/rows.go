package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/environment/health"
)

// view is one kind as `get` and the live table show it.
type view struct {
	names  []string
	kind   func() client.Object
	list   func() client.ObjectList
	header []string
	row    func(obj client.Object, retained map[string]bool) []string
}

// views are the kinds that can be listed, in the order in which data flows.
var views = []view{
	{
		names:  []string{"sources", "source", "gitrepositories", "gitrepo"},
		kind:   func() client.Object { return &v1alpha1.GitRepository{} },
		list:   func() client.ObjectList { return &v1alpha1.GitRepositoryList{} },
		header: []string{"SOURCE", "URL", "READY", "REVISION", "MESSAGE"},
		row: func(obj client.Object, _ map[string]bool) []string {
			s := obj.(*v1alpha1.GitRepository)
			ready, message := readiness(s.Status.Conditions)
			revision := ""
			if s.Status.Artifact != nil {
				revision = shortRevision(s.Status.Artifact.Revision)
			}
			return []string{s.Name, s.Spec.URL, ready, revision, message}
		},
	},
	{
		names:  []string{"bundles", "bundle", "ocirepositories", "ocirepo"},
		kind:   func() client.Object { return &v1alpha1.OCIRepository{} },
		list:   func() client.ObjectList { return &v1alpha1.OCIRepositoryList{} },
		header: []string{"BUNDLE", "URL", "READY", "REVISION", "MESSAGE"},
		row: func(obj client.Object, _ map[string]bool) []string {
			b := obj.(*v1alpha1.OCIRepository)
			ready, message := readiness(b.Status.Conditions)
			revision := ""
			if b.Status.Artifact != nil {
				revision = shortRevision(b.Status.Artifact.Revision)
			}
			return []string{b.Name, b.Spec.URL, ready, revision, message}
		},
	},
	{
		names:  []string{"environments", "environment", "env", "envs"},
		kind:   func() client.Object { return &v1alpha1.Environment{} },
		list:   func() client.ObjectList { return &v1alpha1.EnvironmentList{} },
		header: []string{"ENVIRONMENT", "READY", "REVISION", "PLAN", "HEALTHY", "MESSAGE"},
		row: func(obj client.Object, _ map[string]bool) []string {
			e := obj.(*v1alpha1.Environment)
			ready, message := readiness(e.Status.Conditions)
			return []string{e.Name, ready, shortRevision(e.Status.LastAppliedRevision), planSummary(e), healthCounts(e), message}
		},
	},
	{
		names:  []string{"images", "image", "virtualimages", "vi"},
		kind:   func() client.Object { return &v1alpha2.VirtualImage{} },
		list:   func() client.ObjectList { return &v1alpha2.VirtualImageList{} },
		header: []string{"IMAGE", "PHASE", "PROGRESS", "SIZE", "MESSAGE"},
		row: func(obj client.Object, retained map[string]bool) []string {
			i := obj.(*v1alpha2.VirtualImage)
			speed := ""
			if i.Status.DownloadSpeed != nil {
				speed = i.Status.DownloadSpeed.Current
			}
			return []string{i.Name, phase(i, string(i.Status.Phase), retained), bar(i.Status.Progress, speed), i.Status.Size.Unpacked, problem(i, v1alpha2.SchemeGroupVersion.WithKind(v1alpha2.VirtualImageKind))}
		},
	},
	{
		names:  []string{"clusterimages", "clusterimage", "clustervirtualimages", "cvi"},
		kind:   func() client.Object { return &v1alpha2.ClusterVirtualImage{} },
		list:   func() client.ObjectList { return &v1alpha2.ClusterVirtualImageList{} },
		header: []string{"CLUSTER IMAGE", "PHASE", "PROGRESS", "SIZE", "MESSAGE"},
		row: func(obj client.Object, retained map[string]bool) []string {
			i := obj.(*v1alpha2.ClusterVirtualImage)
			return []string{i.Name, phase(i, string(i.Status.Phase), retained), bar(i.Status.Progress, ""), i.Status.Size.Unpacked, problem(i, v1alpha2.SchemeGroupVersion.WithKind(v1alpha2.ClusterVirtualImageKind))}
		},
	},
	{
		names:  []string{"disks", "disk", "virtualdisks", "vd"},
		kind:   func() client.Object { return &v1alpha2.VirtualDisk{} },
		list:   func() client.ObjectList { return &v1alpha2.VirtualDiskList{} },
		header: []string{"DISK", "PHASE", "PROGRESS", "SIZE", "MACHINES", "MESSAGE"},
		row: func(obj client.Object, retained map[string]bool) []string {
			d := obj.(*v1alpha2.VirtualDisk)
			var machines []string
			for _, m := range d.Status.AttachedToVirtualMachines {
				machines = append(machines, m.Name)
			}
			return []string{d.Name, phase(d, string(d.Status.Phase), retained), bar(d.Status.Progress, ""), d.Status.Capacity, strings.Join(machines, ","), problem(d, v1alpha2.SchemeGroupVersion.WithKind(v1alpha2.VirtualDiskKind))}
		},
	},
	{
		names:  []string{"snapshots", "snapshot", "virtualdisksnapshots", "vdsnapshot"},
		kind:   func() client.Object { return &v1alpha2.VirtualDiskSnapshot{} },
		list:   func() client.ObjectList { return &v1alpha2.VirtualDiskSnapshotList{} },
		header: []string{"SNAPSHOT", "PHASE", "DISK", "MESSAGE"},
		row: func(obj client.Object, retained map[string]bool) []string {
			s := obj.(*v1alpha2.VirtualDiskSnapshot)
			return []string{s.Name, phase(s, string(s.Status.Phase), retained), s.Spec.VirtualDiskName, problem(s, v1alpha2.SchemeGroupVersion.WithKind(v1alpha2.VirtualDiskSnapshotKind))}
		},
	},
	{
		names:  []string{"vms", "vm", "machines", "machine", "virtualmachines"},
		kind:   func() client.Object { return &v1alpha2.VirtualMachine{} },
		list:   machineList,
		header: []string{"MACHINE", "PHASE", "CORES", "MEMORY", "ADDRESS", "AWAITS RESTART", "MESSAGE"},
		row: func(obj client.Object, retained map[string]bool) []string {
			m := obj.(*v1alpha2.VirtualMachine)
			return []string{
				m.Name, phase(m, string(m.Status.Phase), retained), fmt.Sprint(cores(m)),
				m.Spec.Memory.Size.String(), m.Status.IPAddress, awaits(m), problem(m, v1alpha2.SchemeGroupVersion.WithKind(v1alpha2.VirtualMachineKind)),
			}
		},
	},
}

func findView(name string) (view, error) {
	var known []string
	for _, v := range views {
		if slices.Contains(v.names, strings.ToLower(name)) {
			return v, nil
		}
		known = append(known, v.names[0])
	}
	return view{}, usageError{fmt.Errorf("cannot list %q; one of %s or all", name, strings.Join(known, ", "))}
}

// tableOf makes the rows of a kind.
func (v view) tableOf(list client.ObjectList, retained map[string]bool) (table, error) {
	items, err := objectsOf(list)
	if err != nil {
		return table{}, err
	}
	t := table{header: v.header}
	for _, item := range items {
		t.rows = append(t.rows, v.row(item, retained))
	}
	return t, nil
}

func objectsOf(list client.ObjectList) ([]client.Object, error) {
	items, err := meta.ExtractList(list)
	if err != nil {
		return nil, fmt.Errorf("read the list: %w", err)
	}
	objects := make([]client.Object, 0, len(items))
	for _, item := range items {
		objects = append(objects, item.(client.Object))
	}
	return objects, nil
}

// cores are those that the guest has; those that it will have before it has any.
func cores(m *v1alpha2.VirtualMachine) int {
	return cmp.Or(m.Status.Resources.CPU.Cores, int(m.Spec.CPU.Cores))
}

// retainedUIDs are the objects that left Git and were kept.
func retainedUIDs(environments []v1alpha1.Environment) map[string]bool {
	retained := map[string]bool{}
	for _, e := range environments {
		for _, t := range e.Status.Tombstones {
			retained[string(t.UID)] = true
		}
	}
	return retained
}

func phase(obj client.Object, phase string, retained map[string]bool) string {
	if phase == "" {
		phase = "Pending"
	}
	if retained[string(obj.GetUID())] {
		return phase + ", retained"
	}
	return phase
}

// problem is what keeps an object from being healthy, empty when it is.
func problem(obj client.Object, kind schema.GroupVersionKind) string {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return err.Error()
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(kind)
	if h := health.Of(u, time.Now()); h.State != health.Healthy {
		return h.Message
	}
	return ""
}

func awaits(m *v1alpha2.VirtualMachine) string {
	var changes []string
	for _, c := range m.Status.RestartAwaitingChanges {
		change := c.Path
		if c.CurrentValue != nil && c.DesiredValue != nil {
			change += fmt.Sprintf(" %s→%s", c.CurrentValue.Raw, c.DesiredValue.Raw)
		}
		changes = append(changes, change)
	}
	return strings.Join(changes, ", ")
}

// readiness is the Ready condition and, while it is not true, its message.
func readiness(conditions []metav1.Condition) (ready, message string) {
	c := meta.FindStatusCondition(conditions, v1alpha1.ReadyCondition)
	if c == nil {
		return "Unknown", ""
	}
	if c.Status == metav1.ConditionTrue {
		return "True", ""
	}
	return string(c.Status), c.Reason + ": " + c.Message
}

func summaryText(s v1alpha1.PlanSummary) string {
	var parts []string
	for _, p := range []struct {
		count int32
		what  string
	}{{s.Create, "create"}, {s.Live, "live"}, {s.Restart, "restart"}, {s.Replace, "replace"}, {s.Destroy, "destroy"}, {s.Retain, "retain"}} {
		if p.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.count, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

func planSummary(e *v1alpha1.Environment) string {
	if e.Status.Plan == nil {
		return ""
	}
	return summaryText(e.Status.Plan.Summary)
}

func healthCounts(e *v1alpha1.Environment) string {
	if e.Status.Health == nil {
		return ""
	}
	return fmt.Sprintf("%d/%d", e.Status.Health.Healthy, e.Status.Health.Total)
}

// bar draws progress such as "52.5%" as ten cells, and nothing when complete.
func bar(progress, speed string) string {
	var percent float64
	if _, err := fmt.Sscanf(progress, "%g%%", &percent); err != nil || percent >= 100 {
		return ""
	}
	done := int(percent / 10)
	text := "[" + strings.Repeat("#", done) + strings.Repeat("-", 10-done) + "] " + progress
	if speed != "" {
		text += " " + speed
	}
	return text
}

func shortRevision(revision string) string {
	branch, commit, found := strings.Cut(revision, "@")
	if !found {
		branch, commit = "", revision
	}
	if _, digits, named := strings.Cut(commit, ":"); named && len(digits) > 10 {
		commit = digits[:10]
	}
	if branch == "" {
		return commit
	}
	return branch + "@" + commit
}
