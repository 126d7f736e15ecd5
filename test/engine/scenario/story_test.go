//go:build e2e

package scenario

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/config/samples"
	"slipway.dev/slipway/local/gitserver"
	"slipway.dev/slipway/test/e2e/scenario"
)

// scenarios are what is run, beside what shows the same on local/node in test/e2e.
type scenarios []struct {
	name, local, differs string
	run                  func(t *testing.T) // nil when there are too few nodes for it
}

// TestStory is the README's walk-through on stock KubeVirt, then what may go wrong around it.
func TestStory(t *testing.T) {
	p := newPlatform(t)
	p.install(t)
	p.tenant(t)
	d := p.newDemo(t)
	d.HealthyAt(t, d.Repository.Head(t))
	far := scenario.NewFar(t, d)
	stalled := far.Import(t, "stalled", 4*scenario.Mebibyte)
	all := scenarios{
		{"a guest booted from Git with its user data applied", "the same", "the image comes in by a pod, the disk is filled by CDI", d.Booted},
		{"a core more waits for a restart", "the same, and slipway plan", "cores are requested in part, the node has two", d.MoreCores},
		{"a restart applies it", "the same", "by an operation, there by slipway restart", func(t *testing.T) { restart(t, d) }},
		{"a larger disk in Git grows under the guest", "the same", "", d.DiskGrown},
		{"a disk made from a snapshot holds what was there then", "the same", "by the stock snapshot controller", d.SnapshotRestored},
		{"the controllers killed in mid-import", "the process killed as soon as the import runs", "the import's pod goes on; on one machine the import begins anew", func(t *testing.T) {
			importOutlivesControllers(t, p, far)
		}},
		{"the controllers killed: the guest runs on", "the same, and QEMU is adopted", "", d.ControllersKilled},
		{"the controllers killed during a start: the guest boots once", "the same", "", d.KilledDuringStart},
		{"the controllers killed in mid-apply: the end is the same", "the same, the API server with them", "", far.KilledDuringApply},
		{"virt-handler killed: the guest runs on", "-", "one machine has none", func(t *testing.T) { handlerKilled(t, p, d) }},
		{"removing the machine retains its disk; a revert brings both together again", "the same", "", func(t *testing.T) { removeAndRevert(t, d) }},
		{"a machine that no node can hold is told, and goes when it is taken back", "the same", "", d.Nowhere},
		{"bad input is told clearly, harms nothing and heals", "the same", "", d.BadInputs},
		{"an image server that falls silent is told, and the import goes on", "the same", "", stalled.ServerFellSilent},
		{"the Git server away: the last state goes on", "the same", "it stands behind a proxy here", far.GitServerAway},
		{"DVCR away in mid-import", "its storage hidden", "its pod taken away", func(t *testing.T) { registryAway(t, p, far) }},
		{"DVCR's disk full in mid-import", "the same", "", func(t *testing.T) { registryFull(t, p, far) }},
		{"DVCR away while CDI reads from it", "-", "one machine has no CDI", func(t *testing.T) { registryAwayFromCDI(t, p, far) }},
		{"an operation evicts the guest: it runs on at the other node", "-", "one machine has none", p.onTwoNodes(func(t *testing.T) { p.evicted(t, d) })},
		{"KubeVirt migrates the guest: it runs on at the other node", "-", "one machine has none", p.onTwoNodes(func(t *testing.T) { p.migrated(t, d) })},
		{"the guest's node cordoned and drained: it runs on at the other", "-", "one machine has none", p.onTwoNodes(func(t *testing.T) { p.drained(t, d) })},
		{"QEMU killed: the machine starts again", "the same", "", func(t *testing.T) { d.GuestKilled(t, p.killer(d, "^/usr/[a-z/]*qemu-")) }},
		{"virt-launcher killed: the machine starts again", "-", "one machine has none", func(t *testing.T) { d.GuestKilled(t, p.killer(d, "virt-launcher-monitor")) }},
		{"a guest that powers itself off stays off until it is started", "the same", "", d.PoweredOff},
		{"every commit carries a note with its health", "the same", "", d.Noted},
	}
	all.run(t)
}

// newDemo has the platform apply the demo's repository.
func (p *platform) newDemo(t *testing.T) *scenario.Demo {
	t.Helper()
	remote, local := p.serveGit(t, p.serveImage(t))
	p.follow(t, remote)
	var old map[string]bool
	return &scenario.Demo{
		Client: p.client, Repository: scenario.Clone(t, local), Run: p.run, Expose: p.expose, Verdict: p.verdict(),
		KillControllers: func(t *testing.T) { old = p.killPods(t, system, controllers) },
		Recover:         func(t *testing.T) { p.succeeded(t, system, controllers, old) },
	}
}

func restart(t *testing.T, d *scenario.Demo) {
	d.Operate(t, v1alpha2.OperationRestart)
	d.Restarted(t)
}

func removeAndRevert(t *testing.T, d *scenario.Demo) {
	disk, err := d.Disk(t.Context())
	scenario.Must(t, err)
	d.Removed(t)
	d.Reverted(t, disk)
}

// run runs them in order, and prints the table. The first one that fails is the last one.
func (s scenarios) run(t *testing.T) {
	var table strings.Builder
	fmt.Fprintf(&table, "%-76s | %-8s | %-46s | %s\n", "scenario", "KubeVirt", "local/node (make e2e)", "differs")
	failed := false
	for _, one := range s {
		verdict := "not run"
		switch {
		case one.run == nil:
			verdict = "2 nodes"
		case !failed:
			failed = !t.Run(one.name, one.run)
			verdict = map[bool]string{true: "FAILED", false: "passed"}[failed]
		}
		fmt.Fprintf(&table, "%-76s | %-8s | %-46s | %s\n", one.name, verdict, one.local, one.differs)
	}
	fmt.Fprintf(&table, "%-76s | %-8s | %-46s | %s\n", "Ctrl-C leaves no process; the next start finds machines and disks", "-", "run", "a cluster does not end with a command")
	t.Log("\n" + table.String())
}

// serveImage serves the sample image where pods reach it.
func (p *platform) serveImage(t *testing.T) samples.Demo {
	t.Helper()
	path := os.Getenv("SLIPWAY_SAMPLE_IMAGE")
	if path == "" {
		t.Fatal("SLIPWAY_SAMPLE_IMAGE is not set; run these tests with `make e2e-engine`")
	}
	content, err := os.ReadFile(path)
	scenario.Must(t, err)
	sum := sha256.Sum256(content)
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(path))))
	t.Cleanup(server.Close)
	return samples.Demo{ImageURL: p.expose(t, server.URL) + "/" + filepath.Base(path), ImageSHA256: hex.EncodeToString(sum[:]), SSHPublicKey: p.authorizedKey()}
}

// serveGit serves the demo's repository where pods reach it.
func (p *platform) serveGit(t *testing.T, demo samples.Demo) (inside, outside string) {
	t.Helper()
	tree, err := demo.Tree()
	scenario.Must(t, err)
	bare := filepath.Join(p.dir, "demo.git")
	scenario.Must(t, gitserver.InitDemo(t.Context(), bare, modest(t, tree)))
	server, err := gitserver.New(gitserver.Options{})
	scenario.Must(t, err)
	scenario.Must(t, server.AddBare("demo", bare))
	scenario.Must(t, server.Start(t.Context()))
	t.Cleanup(func() { _ = server.Close() })
	return p.expose(t, server.URL("demo")), server.URL("demo")
}

// modest has the machine ask for a part of its cores only: a node of two would not schedule two whole ones.
func modest(t *testing.T, tree fs.FS) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	names, err := fs.Glob(tree, "*")
	scenario.Must(t, err)
	for _, name := range names {
		text, err := fs.ReadFile(tree, name)
		scenario.Must(t, err)
		out[name] = &fstest.MapFile{Data: bytes.ReplaceAll(text, []byte("coreFraction: 100%"), []byte("coreFraction: 20%")), Mode: 0o644}
	}
	return out
}

// follow has an Environment apply the repository.
func (p *platform) follow(t *testing.T, remote string) {
	t.Helper()
	named := metav1.ObjectMeta{Namespace: scenario.Namespace, Name: "demo"}
	p.ensure(t, &v1alpha1.GitRepository{ObjectMeta: named, Spec: v1alpha1.GitRepositorySpec{URL: remote, Interval: metav1.Duration{Duration: 2 * time.Second}}})
	p.ensure(t, &v1alpha1.Environment{ObjectMeta: named, Spec: v1alpha1.EnvironmentSpec{
		SourceRef: v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: "demo"}, TargetNamespace: scenario.Namespace, ServiceAccountName: "tenant",
	}})
}
