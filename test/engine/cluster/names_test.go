package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAliases(t *testing.T) {
	cases := map[string]struct {
		table string
		want  []alias
	}{
		"a new image": {
			"REF TYPE DIGEST SIZE\nlocalhost/disk:engine application/x sha256:aa 6.0 MiB\n",
			[]alias{{"localhost/disk:engine", "localhost/disk@sha256:aa"}},
		},
		"known already": {
			"localhost/disk:engine application/x sha256:aa 1\nlocalhost/disk@sha256:aa application/x sha256:aa 1\n", nil,
		},
		"the runtime's own name":       {"sha256:bb application/x sha256:aa 1\n", nil},
		"a registry with a port":       {"registry:5000/disk:v1 application/x sha256:aa 1\n", []alias{{"registry:5000/disk:v1", "registry:5000/disk@sha256:aa"}}},
		"without a tag":                {"registry:5000/disk application/x sha256:aa 1\n", nil},
		"two tags of one image":        {"h/a:1 x sha256:aa 1\nh/a:2 x sha256:aa 1\n", []alias{{"h/a:1", "h/a@sha256:aa"}}},
		"nothing":                      {"", nil},
		"a line that is cut too short": {"h/a:1 x\n", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, aliases(tc.table), cmp.AllowUnexported(alias{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
