package preflight

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestMissingPackagesAreNamedOnce(t *testing.T) {
	cases := map[string]struct {
		absent []string
		want   string
	}{
		"all there":             {nil, ""},
		"two of one package":    {[]string{"containerd", "ctr"}, "(containerd, ctr): run apt-get update && apt-get install -y --no-install-recommends containerd"},
		"a file":                {[]string{"/usr/lib/cni/bridge"}, "--no-install-recommends containernetworking-plugins"},
		"of different packages": {[]string{"runc", "ip"}, "--no-install-recommends runc iproute2"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := packages(toRun, func(what string) bool {
				for _, a := range tc.absent {
					if a == what {
						return false
					}
				}
				return true
			})
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, ErrMissing) || !strings.HasSuffix(err.Error(), tc.want) {
				t.Errorf("got %v, want the end %q", err, tc.want)
			}
		})
	}
}

func TestSpace(t *testing.T) {
	if err := enough("/d", 6*gibibyte, 6*gibibyte); err != nil {
		t.Error(err)
	}
	err := enough("/d", 6*gibibyte-1, 6*gibibyte)
	if !errors.Is(err, ErrSpace) || !strings.Contains(err.Error(), "/d") {
		t.Errorf("got %v", err)
	}
	if err := space(t.TempDir()+"/not/there/yet", 1); err != nil {
		t.Errorf("a directory that will be made: %v", err)
	}
}

func TestRootIsNeeded(t *testing.T) {
	if err := root(0); err != nil {
		t.Error(err)
	}
	if err := root(1000); !errors.Is(err, ErrRoot) {
		t.Errorf("got %v", err)
	}
}

func TestLayoutOfTheSystem(t *testing.T) {
	cases := map[string]struct {
		bin  fs.FileMode
		want error
	}{
		"merged":     {fs.ModeSymlink, nil},
		"not merged": {fs.ModeDir, ErrLayout},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := merged(func(name string) (fs.FileMode, error) {
				if name == "/bin" {
					return tc.bin, nil
				}
				return fs.ModeSymlink, nil
			})
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}
