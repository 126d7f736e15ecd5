package kubevirt

import "strings"

// internalPrefixes are domains whose keys serve controllers and never guests'
// neighbors. A change of such a key must not touch a running machine.
var internalPrefixes = []string{
	"kubectl.kubernetes.io/",
	"gitops.slipway.dev/",
	"reconcile.gitops.slipway.dev/",
	"internal.virtualization.deckhouse.io/",
	"virt.deckhouse.io/",
}

func internalKey(key string) bool {
	for _, prefix := range internalPrefixes {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	domain, _, _ := strings.Cut(key, "/")
	return domain == "kubevirt.io" || strings.HasSuffix(domain, ".kubevirt.io")
}
