//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/test/e2e/scenario"
)

// gitServerAway: what was applied last goes on, the user is told, and the next
// push goes through as soon as the server is back.
func gitServerAway(t *testing.T, s *stack, f *far) {
	if err := f.server.Close(); err != nil {
		t.Fatal(err)
	}
	s.isTold(t, ofFar, "", "Ready", f.addr)
	if got := farText(t, s); got != "first" {
		t.Errorf("while the Git server is away the ConfigMap says %q, want first", got)
	}
	f.serve(t)
	f.repo.write(t, "note.yaml", note("far", "second"))
	f.applied(t, s, f.repo.push(t, "Change the note"))
	if got := farText(t, s); got != "second" {
		t.Errorf("when the Git server is back the ConfigMap says %q, want second", got)
	}
}

func farText(t *testing.T, s *stack) string {
	t.Helper()
	applied := &corev1.ConfigMap{}
	if err := s.client.Get(t.Context(), key("far"), applied); err != nil {
		t.Fatal(err)
	}
	return applied.Data["text"]
}

// isTold waits for a condition that is not true and has all the words.
func (s *stack) isTold(t *testing.T, where func(context.Context, *stack, string) ([]metav1.Condition, error), name string, says ...string) {
	t.Helper()
	s.eventually(t, patience, fmt.Sprintf("the user is told %q", says), func(ctx context.Context) error {
		conditions, err := where(ctx, s, name)
		if err != nil {
			return err
		}
		return scenario.Told(conditions, says)
	})
}

func (s *stack) imageReady(t *testing.T, name string) {
	t.Helper()
	s.eventually(t, patience, "VirtualImage "+name+" is ready", func(ctx context.Context) error {
		image := &v1alpha2.VirtualImage{}
		if err := s.client.Get(ctx, key(name), image); err != nil {
			return err
		}
		if image.Status.Phase != v1alpha2.ImageReady {
			return fmt.Errorf("phase %s: %+v", image.Status.Phase, image.Status.Conditions)
		}
		return nil
	})
}

// imageServer serves one image, of a disk that cannot be compressed. Its first answer stops
// in the middle until the gate is opened; what is asked for meanwhile waits there.
type imageServer struct {
	*httptest.Server
	reached chan struct{} // closed when the first answer has come to its middle
	gate    chan struct{}
}

func newImageServer(t *testing.T, size int) *imageServer {
	t.Helper()
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size >> 20)}).Read(content)
	copy(content, "LUKS\xba\xbe") // an encrypted disk
	i := &imageServer{reached: make(chan struct{}), gate: make(chan struct{})}
	var first sync.Once
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isFirst := false
		first.Do(func() { isFirst = true })
		if isFirst {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			w.Header().Set("Accept-Ranges", "bytes")
			_, _ = w.Write(content[:size/2])
			_ = http.NewResponseController(w).Flush()
			close(i.reached)
			if i.waits(r) {
				_, _ = w.Write(content[size/2:])
			}
			return
		}
		if i.waits(r) {
			http.ServeContent(w, r, "disk.raw", time.Unix(0, 0), bytes.NewReader(content))
		}
	}))
	t.Cleanup(i.Close)
	return i
}

// waits says whether the gate was opened before the client gave up.
func (i *imageServer) waits(r *http.Request) bool {
	select {
	case <-i.gate:
		return true
	case <-r.Context().Done():
		return false
	}
}

// importing pushes an image and returns when its import is in the middle.
func (f *far) importing(t *testing.T, name string, server *imageServer) {
	t.Helper()
	f.repo.write(t, name+".yaml", strings.ReplaceAll(scenario.ImageManifest(server.URL+"/"+name+".raw", ""), "NAME", name))
	f.repo.push(t, "Import "+name)
	select {
	case <-server.reached:
	case <-time.After(patience):
		t.Fatalf("nobody asked for the image %s within %s", name, patience)
	}
}

const mebibyte = 1 << 20

// beginStall starts an import whose server falls silent in the middle. It is told
// when several attempts have waited in vain, so that the story goes on meanwhile.
func beginStall(t *testing.T, f *far) *imageServer {
	server := newImageServer(t, 4*mebibyte)
	f.importing(t, "stalled", server)
	return server
}

// endStall looks whether the stall was told, and gives the server its voice back.
func endStall(t *testing.T, s *stack, server *imageServer) {
	s.isTold(t, ofImage, "stalled", "ProvisioningFailed", "/stalled.raw", "no data arrived in time")
	close(server.gate)
	s.imageReady(t, "stalled")
}

// registryAway hides DVCR's storage while an image is on its way there.
func registryAway(t *testing.T, s *stack, f *far) {
	s.needsMounts(t)
	server := newImageServer(t, 4*mebibyte)
	f.importing(t, "homeless", server)
	must(t, unix.Mount("none", s.layout.DVCR(), "tmpfs", unix.MS_RDONLY, "size=4k"))
	hidden := sync.OnceValue(func() error { return unix.Unmount(s.layout.DVCR(), unix.MNT_DETACH) })
	defer func() { _ = hidden() }()
	close(server.gate)
	s.isTold(t, ofImage, "homeless", "Ready", "DVCR")
	must(t, hidden())
	s.imageReady(t, "homeless")
}

// spaceGone fills DVCR's disk while an image is on its way there.
func spaceGone(t *testing.T, s *stack, f *far) {
	s.needsMounts(t)
	server := newImageServer(t, 48*mebibyte)
	f.importing(t, "large", server)
	var stat unix.Statfs_t
	must(t, unix.Statfs(s.layout.DVCR(), &stat))
	used := (stat.Blocks - stat.Bfree) * uint64(stat.Bsize)
	s.resizeRegistry(t, used+8*mebibyte)
	close(server.gate)
	s.isTold(t, ofImage, "large", "Ready", "no space left")
	s.resizeRegistry(t, registrySize)
	s.imageReady(t, "large")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// killDuringApply kills the controllers as soon as the first of many objects is
// there, starts them again, and looks whether the end is the same. Whether the
// blow falls in the middle is chance: it is dealt until it does.
func killDuringApply(t *testing.T, s *stack, f *far) {
	const objects, blows = 300, 5
	for blow := range blows {
		seen := f.killAtFirst(t, s, blow, objects)
		f.allThere(t, s, blow, objects)
		t.Logf("killed when %d of %d objects were seen", seen, objects)
		if seen < objects {
			return
		}
	}
	t.Fatalf("all %d objects were there each time before the controllers could be killed: this shows nothing, use more objects", objects)
}

func setName(blow int) string { return "set" + strconv.Itoa(blow) }

// killAtFirst pushes a set of objects and returns how many had appeared when the
// controllers, and the API server with them, were gone.
func (f *far) killAtFirst(t *testing.T, s *stack, blow, objects int) int {
	t.Helper()
	var manifests strings.Builder
	for i := range objects {
		fmt.Fprintf(&manifests, "---\n%s", strings.Replace(note(fmt.Sprintf("%s-%d", setName(blow), i), "whole"), "app: far", "app: "+setName(blow), 1))
	}
	watcher, err := s.client.Watch(t.Context(), &corev1.ConfigMapList{}, client.InNamespace(namespace), client.MatchingLabels{"app": setName(blow)})
	must(t, err)
	defer watcher.Stop()
	f.repo.write(t, setName(blow)+".yaml", manifests.String())
	f.repo.push(t, "Add "+setName(blow))
	var seen atomic.Int32
	appeared, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for event := range watcher.ResultChan() {
			if event.Type == watch.Added && seen.Add(1) == 1 {
				close(appeared)
			}
		}
	}()
	select {
	case <-appeared:
	case <-time.After(patience):
		t.Fatalf("nothing of %s was applied within %s", setName(blow), patience)
	}
	s.kill(t)
	<-gone
	s.start(t)
	return int(seen.Load())
}

// allThere waits until the whole set is applied and in the inventory.
func (f *far) allThere(t *testing.T, s *stack, blow, objects int) {
	t.Helper()
	env := f.applied(t, s, strings.TrimSpace(f.repo.git(t, "rev-parse", "HEAD")))
	list := &corev1.ConfigMapList{}
	must(t, s.client.List(t.Context(), list, client.InNamespace(namespace), client.MatchingLabels{"app": setName(blow)}))
	for _, applied := range list.Items {
		if applied.Data["text"] != "whole" {
			t.Errorf("ConfigMap %s holds %v", applied.Name, applied.Data)
		}
	}
	if len(list.Items) != objects {
		t.Errorf("%d objects of %s, want %d", len(list.Items), setName(blow), objects)
	}
	if got := inventoried(env.Status.Inventory, setName(blow)); got != objects {
		t.Errorf("%d objects of %s in the inventory, want %d", got, setName(blow), objects)
	}
}

// registrySize is the size of the disk that stands under DVCR.
const registrySize = 512 * mebibyte

// mountRegistry puts a disk of its own under DVCR, in memory, where that is allowed.
func (s *stack) mountRegistry() error {
	err := unix.Mount("none", s.layout.DVCR(), "tmpfs", 0, fmt.Sprintf("mode=700,size=%d", registrySize))
	s.mounted = err == nil
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil
	}
	return err
}

func (s *stack) unmountRegistry() error {
	if !s.mounted {
		return nil
	}
	return unix.Unmount(s.layout.DVCR(), 0)
}

func (s *stack) resizeRegistry(t *testing.T, bytes uint64) {
	t.Helper()
	must(t, unix.Mount("none", s.layout.DVCR(), "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", bytes)))
}

func (s *stack) needsMounts(t *testing.T) {
	t.Helper()
	if !s.mounted {
		t.Skip("this test mounts file systems: run it as root")
	}
}

func inventoried(inventory []v1alpha1.InventoryEntry, set string) int {
	count := 0
	for _, entry := range inventory {
		if entry.Kind == "ConfigMap" && strings.HasPrefix(entry.Name, set+"-") {
			count++
		}
	}
	return count
}
