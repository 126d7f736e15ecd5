package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	cases := map[string]struct {
		mountinfo string
		want      []Hierarchy
	}{
		"unified": {
			"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate",
			[]Hierarchy{{Mount: "/sys/fs/cgroup", V2: true}},
		},
		"version 1 beside the unified one": {
			`25 24 0:24 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
26 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
27 25 0:30 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/lib/systemd/agent,name=systemd
28 25 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw`,
			[]Hierarchy{
				{Mount: "/sys/fs/cgroup/cpu,cpuacct", Options: "cpu,cpuacct"},
				{Mount: "/sys/fs/cgroup/systemd", Options: "none,name=systemd"},
				{Mount: "/sys/fs/cgroup/unified", V2: true},
			},
		},
		"mounted twice": {
			"30 23 0:26 / /sys/fs/cgroup rw - cgroup2 a rw\n31 30 0:26 / /sys/fs/cgroup rw - cgroup2 b rw",
			[]Hierarchy{{Mount: "/sys/fs/cgroup", V2: true}},
		},
		"elsewhere": {"30 23 0:26 / /mnt/cgroup rw - cgroup2 cgroup2 rw", nil},
		"nonsense":  {"cgroup - \n30 - cgroup2\n\n - - -", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parse(strings.NewReader(tc.mountinfo))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("26 25 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu")
	f.Fuzz(func(t *testing.T, text string) {
		hierarchies, err := parse(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, h := range hierarchies {
			if !below(h.Mount) {
				t.Errorf("%q is not below %s", h.Mount, Root)
			}
		}
	})
}

// fake is a hierarchy of plain files: enough for what only reads and names.
func fake(t *testing.T, files fstest.MapFS) Group {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	return New([]Hierarchy{{Mount: dir}}, "engine")
}

func TestProcessesAreThoseOfTheWholeTree(t *testing.T) {
	g := fake(t, fstest.MapFS{
		"cgroup.procs":                      {Data: []byte("1\n2\n")},
		"engine/cgroup.procs":               {Data: []byte("10\n")},
		"engine/node1/cgroup.procs":         {Data: []byte("12\n11\n")},
		"engine/node1/pods/a/cgroup.procs":  {Data: []byte("13\n0\n12\n")},
		"engine-of-another/cgroup.procs":    {Data: []byte("99\n")},
		"engine/node1/pods/a/memory.events": {Data: []byte("x")},
	})
	got, err := g.Processes()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{10, 11, 12, 13}, got); diff != "" {
		t.Error(diff)
	}
	if !g.Exists() || New(g.hierarchies, "other").Exists() {
		t.Error("the group is not told from others")
	}
}

func TestGroupThatIsNotThereHasNoProcesses(t *testing.T) {
	got, err := fake(t, nil).Processes()
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestNewCPUSetGetsItsParentsCPUs(t *testing.T) {
	g := fake(t, fstest.MapFS{
		"cpuset.cpus": {Data: []byte("0-1\n")}, "cpuset.mems": {Data: []byte("0\n")},
		"engine/cpuset.cpus": {Data: []byte("\n")}, "engine/cpuset.mems": {Data: []byte("1\n")},
	})
	root := g.hierarchies[0].Mount
	if err := inheritCPUs(root, filepath.Join(root, "engine")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"cpuset.cpus": "0-1\n", "cpuset.mems": "1\n"} {
		got, err := os.ReadFile(filepath.Join(root, "engine", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
