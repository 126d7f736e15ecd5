package disk

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/internal/storageclass"
)

func TestAttach(t *testing.T) {
	vm := func(name string, age int, phase v1alpha2.MachinePhase) v1alpha2.VirtualMachine {
		m := *machine(name, phase)
		m.CreationTimestamp = metav1.NewTime(start.Add(-time.Duration(age) * time.Hour))
		return m
	}
	leaving := vm("leaving", 9, v1alpha2.MachinePending)
	leaving.DeletionTimestamp = ptr.To(metav1.NewTime(start))
	tests := map[string]struct {
		before   []v1alpha2.AttachedVirtualMachine
		machines []v1alpha2.VirtualMachine
		holder   string
		active   bool
	}{
		"nobody":                        {},
		"one that is off":               {machines: []v1alpha2.VirtualMachine{vm("a", 1, v1alpha2.MachineStopped)}},
		"one that has no phase yet":     {machines: []v1alpha2.VirtualMachine{vm("a", 1, "")}},
		"one that runs":                 {machines: []v1alpha2.VirtualMachine{vm("a", 1, v1alpha2.MachineRunning)}, holder: "a", active: true},
		"runs beats waits, though old":  {machines: []v1alpha2.VirtualMachine{vm("a", 9, v1alpha2.MachinePending), vm("b", 1, v1alpha2.MachineRunning)}, holder: "b", active: true},
		"runs beats the former holder":  {before: []v1alpha2.AttachedVirtualMachine{{Name: "a", Mounted: true}}, machines: []v1alpha2.VirtualMachine{vm("a", 9, v1alpha2.MachinePending), vm("b", 1, v1alpha2.MachineStopping)}, holder: "b", active: true},
		"oldest that waits":             {machines: []v1alpha2.VirtualMachine{vm("a", 1, v1alpha2.MachinePending), vm("b", 9, v1alpha2.MachinePending)}, holder: "b"},
		"former holder that waits":      {before: []v1alpha2.AttachedVirtualMachine{{Name: "a", Mounted: true}}, machines: []v1alpha2.VirtualMachine{vm("a", 1, v1alpha2.MachinePending), vm("b", 9, v1alpha2.MachinePending)}, holder: "a"},
		"former holder that is off now": {before: []v1alpha2.AttachedVirtualMachine{{Name: "a", Mounted: true}}, machines: []v1alpha2.VirtualMachine{vm("a", 9, v1alpha2.MachineStopped), vm("b", 1, v1alpha2.MachinePending)}, holder: "b"},
		"one that waits but is deleted": {machines: []v1alpha2.VirtualMachine{leaving, vm("b", 1, v1alpha2.MachinePending)}, holder: "b"},
		"same age goes by name":         {machines: []v1alpha2.VirtualMachine{vm("b", 1, v1alpha2.MachinePending), vm("a", 1, v1alpha2.MachinePending)}, holder: "a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := attach(test.before, test.machines, reader{})
			if got.holder != test.holder || got.active != test.active {
				t.Errorf("holder %q, active %t, want %q and %t", got.holder, got.active, test.holder, test.active)
			}
			if len(got.list) != len(test.machines) {
				t.Errorf("list is %v, want every machine in it", got.list)
			}
			for i, entry := range got.list {
				if entry.Mounted != (entry.Name == test.holder) || (i > 0 && got.list[i-1].Name > entry.Name) {
					t.Errorf("list is %v", got.list)
				}
			}
		})
	}
}

func TestPickClass(t *testing.T) {
	classes := []storagev1.StorageClass{*class("claimed"), *class("asked"), *class("module")}
	policy := storageclass.Policy{Default: "module"}
	tests := map[string]struct {
		claimed string
		asked   *string
		want    string
		problem string
	}{
		"claim's first":            {"claimed", ptr.To("module"), "claimed", ""},
		"claim's is gone":          {"fast", nil, "", "storage class fast of the disk's volume"},
		"then what is allowed":     {"", nil, "module", ""},
		"not what is not allowed":  {"", ptr.To("asked"), "", "asked is not allowed"},
		"claim's is not forbidden": {"claimed", ptr.To("asked"), "claimed", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, problem := pickClass(test.claimed, policy, storageclass.Request{Asked: test.asked, Classes: classes})
			if (got == nil) != (test.want == "") || (got != nil && got.Name != test.want) {
				t.Errorf("class is %v, want %q", got, test.want)
			}
			if !strings.Contains(problem, test.problem) || (problem == "") != (test.problem == "") {
				t.Errorf("problem is %q, want %q", problem, test.problem)
			}
		})
	}
}

func TestSizeFor(t *testing.T) {
	const gi = 1 << 30
	tests := map[string]struct {
		asked   string
		content content
		want    string
		problem string
	}{
		"blank":              {"1Gi", content{blank: true}, "1Gi", ""},
		"blank, none":        {"", content{blank: true}, "", "needs a size"},
		"image, none":        {"", content{unpacked: 4 * gi}, "4Gi", ""},
		"image, the same":    {"4Gi", content{unpacked: 4 * gi}, "4Gi", ""},
		"image, larger":      {"5G", content{unpacked: 4 * gi}, "5G", ""},
		"image, 1 byte less": {"4294967295", content{unpacked: 4 * gi}, "", "4Gi (4294967296 bytes)"},
		"negative":           {"-1Gi", content{unpacked: 4 * gi}, "", "-1Gi"},
		"ISO":                {"9Gi", content{unpacked: gi, cdrom: true}, "", "ISO"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var asked *resource.Quantity
			if test.asked != "" {
				asked = ptr.To(resource.MustParse(test.asked))
			}
			got := sizeFor(asked, test.content)
			if !strings.Contains(got.problem, test.problem) || (got.problem == "") != (test.problem == "") {
				t.Errorf("problem is %q, want %q", got.problem, test.problem)
			}
			if test.want != "" && got.value.String() != test.want {
				t.Errorf("size is %s, want %s", got.value.String(), test.want)
			}
		})
	}
}

func TestGrow(t *testing.T) {
	tests := map[string]struct {
		asked, granted, request, capacity string
		fixed, guestPending               bool
		overhead                          float64
		want                              string
	}{
		"nothing asked":                   {"", "1Gi", "1Gi", "1Gi", false, false, 0, "had"},
		"had":                             {"1Gi", "1Gi", "1Gi", "1Gi", false, false, 0, "had"},
		"had, volume a little larger":     {"1G", "1G", "1G", "1Gi", false, false, 0, "had"},
		"asked for":                       {"2Gi", "1Gi", "1Gi", "1Gi", false, false, 0, "request 2Gi"},
		"under way":                       {"2Gi", "2Gi", "2Gi", "1Gi", false, false, 0, "pending"},
		"guest does not see it yet":       {"2Gi", "2Gi", "2Gi", "2Gi", false, true, 0, "pending"},
		"with room for a file system":     {"192Mi", "128Mi", "142270792", "142270792", false, false, 0.06, "request 205Mi"},
		"not of whole MiB":                {"200000000", "128Mi", "136Mi", "136Mi", false, false, 0.06, "request 204Mi"},
		"within what the claim has":       {"1050Mi", "1Gi", "1100Mi", "1100Mi", false, false, 0, "request 1100Mi"},
		"the same with a file system":     {"1Gi", "1Gi", "1100Mi", "1100Mi", false, false, 0, "had"},
		"smaller":                         {"1Gi", "2Gi", "2Gi", "2Gi", false, false, 0, "problem"},
		"smaller than with a file system": {"1050Mi", "1060Mi", "1100Mi", "1100Mi", false, false, 0, "problem"},
		"class does not let it":           {"2Gi", "1Gi", "1Gi", "1Gi", true, false, 0, "problem"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := growthRequest{
				granted: resource.MustParse(test.granted), request: resource.MustParse(test.request), capacity: resource.MustParse(test.capacity),
				expandable: !test.fixed, guestPending: test.guestPending, overhead: test.overhead,
			}
			if test.asked != "" {
				r.asked = ptr.To(resource.MustParse(test.asked))
			}
			if got := inWords(grow(r)); got != test.want {
				t.Errorf("growth is %q, want %q", got, test.want)
			}
		})
	}
}

func inWords(g growth) string {
	switch {
	case g.problem != "":
		return "problem"
	case !g.request.IsZero():
		return "request " + g.request.String()
	case g.pending:
		return "pending"
	default:
		return "had"
	}
}

func TestNames(t *testing.T) {
	vd := blankDisk("1Gi")
	vd.UID = types.UID(strings.Repeat("0", 36))
	tests := map[string]struct {
		name string
		want string
	}{
		"short":             {"root", "d8v-vd-root-" + string(vd.UID)},
		"long":              {strings.Repeat("a", 253), "d8v-vd-" + strings.Repeat("a", 209) + "-" + string(vd.UID)},
		"cut before a dash": {strings.Repeat("a", 208) + "-" + strings.Repeat("b", 44), "d8v-vd-" + strings.Repeat("a", 208) + "-" + string(vd.UID)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			vd.Name = test.name
			got := volumeName(vd)
			if diff := cmp.Diff(test.want, got); diff != "" || len(got) > maxName {
				t.Errorf("name of %d characters (-want +got):\n%s", len(got), diff)
			}
		})
	}
}

func TestOverheadOf(t *testing.T) {
	reckoned := &cdiv1.FilesystemOverhead{Global: "0.06", StorageClass: map[string]cdiv1.Percent{"tight": "0.01", "broken": "much"}}
	tests := map[string]struct {
		reckoned *cdiv1.FilesystemOverhead
		class    string
		want     float64
		fails    bool
	}{
		"not known yet":     {nil, "any", 0, false},
		"of all classes":    {reckoned, "any", 0.06, false},
		"of a class":        {reckoned, "tight", 0.01, false},
		"that is no number": {reckoned, "broken", 0, true},
		"that is not given": {&cdiv1.FilesystemOverhead{}, "any", 0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := overheadOf(&cdiv1.CDIConfig{Status: cdiv1.CDIConfigStatus{FilesystemOverhead: test.reckoned}}, test.class)
			if got != test.want || (err != nil) != test.fails {
				t.Errorf("overhead %v, error %v", got, err)
			}
		})
	}
}
