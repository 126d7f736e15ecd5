package sampleimage

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCloudConfig runs the guest's reader of cloud-config. The guest's awk is busybox's; any POSIX awk reads it alike.
func TestCloudConfig(t *testing.T) {
	tests := map[string]struct {
		config string
		want   map[string]string
		says   string
	}{
		"host name": {
			config: "hostname: web # its name\n", want: map[string]string{"hostname": "web"},
		},
		"a domain is cut off": {
			config: "fqdn: \"web.example.org\"\n", want: map[string]string{"hostname": "web"},
		},
		"keys as a list": {
			config: "ssh_authorized_keys:\n  # comment\n  - ssh-ed25519 AAAA me@here\n- 'ssh-rsa BBBB'\n",
			want:   map[string]string{"keys": "ssh-ed25519 AAAA me@here\nssh-rsa BBBB\n"},
		},
		"keys in one line": {
			config: "ssh_authorized_keys: [\"ssh-ed25519 AAAA me\", ssh-rsa BBBB]\n",
			want:   map[string]string{"keys": "ssh-ed25519 AAAA me\nssh-rsa BBBB\n"},
		},
		"users": {
			config: `users:
  - default
  - name: cloud
    # passwd: x
    groups:
      - wheel
    sudo: ALL=(ALL) NOPASSWD:ALL
    ssh_authorized_keys:
      # tests
      - ssh-ed25519 AAAA you@there
      - ssh-rsa BBBB
  - ssh-authorized-keys: [ssh-rsa CCCC]
  - name: "last"
    ssh_authorized_keys:
    - ssh-rsa DDDD
`,
			want: map[string]string{"users": "root\t\ncloud\t\ncloud\tssh-ed25519 AAAA you@there\ncloud\tssh-rsa BBBB\nroot\tssh-rsa CCCC\nlast\t\nlast\tssh-rsa DDDD\n"},
		},
		"commands in each form": {
			config: "runcmd:\n  - echo one # said\n  - [sh, -c, \"echo 'two'\"]\n  - |\n    echo three\n\n    echo \"four\"\n  - \"echo \\\"five\\\"\"\n  - 'echo six'\n",
			want:   map[string]string{"runcmd": "echo one\n'sh' '-c' 'echo '\\''two'\\'''\necho three\n\necho \"four\"\necho \"five\"\necho six\n"},
		},
		"files": {
			config: `write_files:
  - path: /etc/a
    permissions: "0600"
    content: |
      first
        indented

      last
    owner: root
  - content: short
    path: /etc/b
    append: true
  - path: /etc/c
    encoding: b64
    content: aGk=
hostname: after
`,
			want: map[string]string{
				"file.1/path": "/etc/a", "file.1/permissions": "0600", "file.1/content": "first\n  indented\n\nlast\n", "file.1/owner": "root",
				"file.2/path": "/etc/b", "file.2/content": "short", "file.2/append": "true",
				"file.3/path": "/etc/c", "file.3/encoding": "b64", "file.3/content": "aGk=", "hostname": "after",
			},
		},
		"what is not supported is named": {
			config: "packages:\n  - curl\nhostname: web\n", want: map[string]string{"hostname": "web"},
			says: "[sample] cloud-config key packages is not supported by the sample image\n",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			cmd := exec.Command("awk", "-v", "out="+out, "-f", "rootfs/usr/share/cloud-config.awk")
			cmd.Stdin = strings.NewReader("#cloud-config\n" + tc.config)
			said, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			if diff := cmp.Diff(tc.want, contents(t, out)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if string(said) != tc.says {
				t.Errorf("said %q, want %q", said, tc.says)
			}
		})
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
