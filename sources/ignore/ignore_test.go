package ignore

import "testing"

func TestRules(t *testing.T) {
	tests := map[string]struct {
		spec  string
		files map[string]string
		path  string
		isDir bool
		want  bool
	}{
		"a manifest":                  {path: "vm.yaml", want: true},
		"version control":             {path: ".git", isDir: true},
		"a disk image":                {path: "disks/root.qcow2"},
		"a compressed disk image":     {path: "disks/root.raw.zst"},
		"what is named like one":      {path: "disks/raw", isDir: true, want: true},
		"the spec leaves out":         {spec: "*.md\n", path: "a/b.md"},
		"a comment does not":          {spec: "# *.md\n", path: "b.md", want: true},
		"the spec takes in":           {spec: "!*.iso\r\n", path: "boot.iso", want: true},
		"a file of the tree":          {files: map[string]string{"a": "/b.yaml"}, path: "a/b.yaml"},
		"only below its directory":    {files: map[string]string{"a": "b.yaml"}, path: "c/b.yaml", want: true},
		"the spec wins over the tree": {spec: "!b.yaml", files: map[string]string{"": "b.yaml"}, path: "b.yaml", want: true},
		"the root's rules":            {files: map[string]string{".": "*.txt"}, path: "deep/er/x.txt"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rules := New(test.spec)
			for dir, lines := range test.files {
				rules.Add(dir, lines)
			}
			if got := rules.Shows(test.path, test.isDir); got != test.want {
				t.Errorf("Shows(%s) = %v, want %v", test.path, got, test.want)
			}
		})
	}
}
