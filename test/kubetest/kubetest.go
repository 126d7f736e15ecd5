package kubetest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/kube"
)

// startTimeout leaves room for a first build of the control plane.
const startTimeout = 30 * time.Minute

// answerTimeout allows for several suites that start at once on a small machine.
const answerTimeout = 5 * time.Minute

// shared is the one server of this test binary. Nothing stops it: it holds on
// to a pipe of this process and ends with it, also after a panic or a kill, and
// takes its data along.
var shared struct {
	once   sync.Once
	config *rest.Config
	err    error
}

// Start returns how to reach this test binary's API server as an administrator,
// with the CustomResourceDefinitions of the given directories installed. The
// first call starts the server.
func Start(tb testing.TB, crdDirs ...string) *rest.Config {
	tb.Helper()
	trees := make([]fs.FS, 0, len(crdDirs))
	for _, dir := range crdDirs {
		trees = append(trees, os.DirFS(dir))
	}
	return StartFS(tb, trees...)
}

// StartFS is Start for definitions that are not files, such as embedded ones.
func StartFS(tb testing.TB, crds ...fs.FS) *rest.Config {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startTimeout)
	defer cancel()
	shared.once.Do(func() { shared.config, shared.err = start(ctx, tb) })
	if shared.err != nil {
		tb.Fatalf("start an API server for tests: %v", shared.err)
	}
	if err := kube.InstallCRDs(ctx, shared.config, crds...); err != nil {
		tb.Fatalf("install CustomResourceDefinitions: %v", err)
	}
	return rest.CopyConfig(shared.config)
}

func start(ctx context.Context, tb testing.TB) (*rest.Config, error) {
	// Not tb.TempDir: the server outlives the test that was first to need it.
	dir, err := os.MkdirTemp("", "slipway-test-")
	if err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	plane, err := kube.Start(ctx, kube.Options{
		Dir:          dir,
		Ephemeral:    true,
		StartTimeout: answerTimeout,
		Progress:     func(step string) { tb.Log(step) },
	})
	if err != nil {
		return nil, fmt.Errorf("run control plane: %w", err)
	}
	return plane.Config(), nil
}

// Namespace creates a namespace for one test and deletes it after the test. It
// does not wait until the namespace is gone.
func Namespace(tb testing.TB, c client.Client) string {
	tb.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix(tb.Name())}}
	if err := c.Create(tb.Context(), namespace); err != nil {
		tb.Fatalf("create a namespace: %v", err)
	}
	tb.Cleanup(func() {
		// The test's own context has ended by now.
		if err := c.Delete(context.Background(), namespace); client.IgnoreNotFound(err) != nil {
			tb.Errorf("delete namespace %s: %v", namespace.Name, err)
		}
	})
	return namespace.Name
}

// prefix makes the start of a namespace's name out of a test's.
func prefix(test string) string {
	const room = 40
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(filepath.Base(test)))
	return "test-" + strings.TrimLeft(name[:min(len(name), room)], "-") + "-"
}
