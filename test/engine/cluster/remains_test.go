package cluster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCleaning(t *testing.T) {
	cases := map[string]struct {
		remains remains
		want    []string
	}{
		"nothing": {remains{}, nil},
		"killed before the first process was moved": {
			remains{groups: true, files: []string{"/d/nodes"}},
			[]string{"remove control groups ", "remove /d/nodes"},
		},
		"everything": {
			remains{
				processes: []int{7}, groups: true, loops: []string{"/dev/loop1"},
				mounts: []string{"/d/nodes/a", "/d/nodes/a/root/x", "/d/nodes/b"}, files: []string{"/d/engine.json", "/d/nodes"},
			},
			[]string{
				"end processes ", "unmount /d/nodes/a/root/x", "unmount /d/nodes/b", "unmount /d/nodes/a", "detach loop device /dev/loop1",
				"remove control groups ", "remove /d/engine.json", "remove /d/nodes",
			},
		},
		"one place mounted twice": {
			remains{mounts: []string{"/d/a", "/d/a"}},
			[]string{"unmount /d/a", "unmount /d/a"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, a := range cleaning(tc.remains) {
				got = append(got, string(a.kind)+" "+a.target)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if tc.remains.none() != (len(tc.want) == 0) {
				t.Error("none() disagrees with what is to do")
			}
		})
	}
}

func TestMountsBelow(t *testing.T) {
	const mountinfo = `22 1 8:1 / / rw - ext4 /dev/a rw
30 22 0:5 / /d/run/nodes/x rw - tmpfs tmpfs rw
31 22 0:5 / /d/runner rw - tmpfs tmpfs rw
32 22 0:5 / /d/run/with\040space rw - tmpfs tmpfs rw
33 22 0:5 / /d/run rw - tmpfs tmpfs rw
short line`
	got, err := mountsBelow(strings.NewReader(mountinfo), "/d/run")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/d/run/nodes/x", "/d/run/with space"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestGroupFollowsFromTheDirectory(t *testing.T) {
	a, b := Layout{Dir: "/x/run"}, Layout{Dir: "/y/run"}
	if a.Group() == b.Group() || a.Group() != (Layout{Dir: "/x/run"}).Group() {
		t.Errorf("groups %s and %s", a.Group(), b.Group())
	}
}
