//go:build e2e

package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// killPods ends pods at once, as a node that fails does, and waits until others stand in for them.
func (p *platform) killPods(t *testing.T, in string, labels client.MatchingLabels) {
	t.Helper()
	old := map[string]bool{}
	var pods corev1.PodList
	must(t, p.client.List(t.Context(), &pods, client.InNamespace(in), labels))
	for i := range pods.Items {
		old[pods.Items[i].Name] = true
		must(t, client.IgnoreNotFound(p.client.Delete(t.Context(), &pods.Items[i], client.GracePeriodSeconds(0))))
	}
	if len(old) == 0 {
		t.Fatalf("there are no pods %v in %s", labels, in)
	}
	p.eventually(t, patience, fmt.Sprintf("%d other pods %v", len(old), labels), func(ctx context.Context) error {
		if err := p.client.List(ctx, &pods, client.InNamespace(in), labels); err != nil {
			return err
		}
		ready := 0
		for _, pod := range pods.Items {
			for _, c := range pod.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && !old[pod.Name] {
					ready++
				}
			}
		}
		if ready < len(old) {
			return fmt.Errorf("%d are ready", ready)
		}
		return nil
	})
}

func (p *platform) killControllers(t *testing.T) {
	t.Helper()
	p.killPods(t, system, client.MatchingLabels{"app.kubernetes.io/name": "slipway-controller"})
}

// killInside ends processes of the node with SIGKILL.
func (p *platform) killInside(t *testing.T, pattern string) {
	t.Helper()
	cmd, err := p.layout.Enter(p.node, "pkill", "-KILL", "-f", pattern)
	must(t, err)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kill %s: %v: %s", pattern, err, out)
	}
}

// importOutlivesControllers kills the controllers while an import is in the middle; its pod goes on.
func importOutlivesControllers(t *testing.T, p *platform) {
	server := newImageServer(t, 4<<20)
	at := p.expose(t, strings.TrimPrefix(server.URL, "http://"))
	image := &v1alpha2.VirtualImage{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "interrupted"}, Spec: v1alpha2.VirtualImageSpec{
		Storage:    v1alpha2.StorageContainerRegistry,
		DataSource: v1alpha2.VirtualImageDataSource{Type: "HTTP", HTTP: &v1alpha2.HTTPSource{URL: "http://" + at + "/disk.raw"}},
	}}
	must(t, p.client.Create(t.Context(), image))
	t.Cleanup(func() { _ = p.client.Delete(context.WithoutCancel(t.Context()), image) })
	select {
	case <-server.reached:
	case <-time.After(patience):
		t.Fatal("nobody asked for the image")
	}
	pods := &corev1.PodList{}
	must(t, p.client.List(t.Context(), pods, client.InNamespace(system), client.MatchingLabels{"app": "dvcr-data-importer"}))
	if len(pods.Items) != 1 {
		t.Fatalf("%d pods import", len(pods.Items))
	}
	p.killControllers(t)
	close(server.gate)
	p.eventually(t, patience, "the image is ready", func(ctx context.Context) error {
		err := p.client.Get(ctx, client.ObjectKeyFromObject(image), image)
		if err == nil && image.Status.Phase != v1alpha2.ImageReady {
			err = fmt.Errorf("phase %s: %+v", image.Status.Phase, image.Status.Conditions)
		}
		return err
	})
	if server.asked != 1 {
		t.Errorf("the image was asked for %d times", server.asked)
	}
}

// controllersKilled: the guest runs on.
func controllersKilled(t *testing.T, p *platform) {
	boots := p.guest(t, "cat /data/boots")
	p.killControllers(t)
	p.healthyAt(t, "")
	if got := p.guest(t, "cat /data/boots"); got != boots {
		t.Errorf("boot counter %s, was %s: the guest was restarted", got, boots)
	}
}

// handlerKilled: the guest runs on, and is governed again.
func handlerKilled(t *testing.T, p *platform) {
	boots := p.guest(t, "cat /data/boots")
	p.killPods(t, "kubevirt", client.MatchingLabels{"kubevirt.io": "virt-handler"})
	p.healthyAt(t, "")
	if got := p.guest(t, "cat /data/boots"); got != boots {
		t.Errorf("boot counter %s, was %s: the guest was restarted", got, boots)
	}
}

// guestKilled: whatever dies of the machine, it starts again, with its data.
func guestKilled(t *testing.T, p *platform, pattern string) {
	boots := p.guest(t, "sync && cat /data/boots") // or the counter that was read dies with the guest
	p.killInside(t, pattern)
	p.eventually(t, 2*patience, "the machine boots again", func(ctx context.Context) error {
		got, err := p.run(ctx, "cat /data/boots")
		if err == nil && got == boots {
			err = fmt.Errorf("boot counter is still %s", got)
		}
		return err
	})
	p.healthyAt(t, "")
	if got := p.guest(t, "cat /data/precious"); got != "precious" {
		t.Errorf("data on the disk: %q", got)
	}
}

// imageServer serves one image that cannot be compressed, and stops in its middle until the gate is opened.
type imageServer struct {
	*httptest.Server
	reached, gate chan struct{}

	mu    sync.Mutex
	asked int
}

func newImageServer(t *testing.T, size int) *imageServer {
	t.Helper()
	content := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content)
	copy(content, "LUKS\xba\xbe") // an encrypted disk
	i := &imageServer{reached: make(chan struct{}), gate: make(chan struct{})}
	half := sync.OnceFunc(func() { close(i.reached) })
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.asked++
		i.mu.Unlock()
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(content[:size/2])
		_ = http.NewResponseController(w).Flush()
		half()
		// A byte now and then: one that is silent is given up.
		rest := content[size/2:]
		for {
			select {
			case <-i.gate:
				_, _ = w.Write(rest)
				return
			case <-r.Context().Done():
				return
			case <-time.After(5 * time.Second):
				_, _ = w.Write(rest[:1])
				_ = http.NewResponseController(w).Flush()
				rest = rest[1:]
			}
		}
	}))
	t.Cleanup(i.Close)
	return i
}
