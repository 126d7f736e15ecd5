package kustomize

import (
	"regexp"
	"strings"
)

// userAtHost is how an address for scp begins.
var userAtHost = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]*@`)

// remote reports whether kustomize could take a path for an address. A directory whose name merely looks like one would
// be cloned rather than read, so what stands in the tree under that name does not matter.
func remote(path string) bool {
	lower := strings.ToLower(strings.TrimSpace(path))
	for _, prefix := range []string{"git::", "github.com/", "github.com:", "gh:", "http:", "https:", "ssh:", "file:"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return strings.Contains(lower, "://") || userAtHost.MatchString(lower)
}
