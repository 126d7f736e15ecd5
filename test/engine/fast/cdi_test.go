//go:build e2e

package fast

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/test/engine/cdi"
)

// startCDI brings up CDI's definitions and its API server with the webhooks. It comes before KubeVirt, which looks for CDI
// when it starts.
func (p *plane) startCDI(t *testing.T) {
	t.Helper()
	port, dir := freePort(t), filepath.Join(p.dir, "cdi")
	stages, err := cdi.Manifests(t.Context(), p.programs[cdi.Generator], dir, cdi.Plan{Shape: cdi.Processes, Port: port})
	must(t, err)
	before, webhooks := stages[:len(stages)-1], stages[len(stages)-1]
	must(t, p.applier.Apply(t.Context(), before...))
	certificate, key := cdi.Pair(dir, "cdi-apiserver-server-cert")
	p.start(t, cdi.Loopback, account{cdi.Namespace, cdi.APIAccount},
		"--port", strconv.Itoa(port), "--tls-cert-file", certificate, "--tls-key-file", key)
	must(t, p.applier.Apply(t.Context(), webhooks))
	p.waitForCDI(t)
}

// waitForCDI waits until the API server asks CDI about volumes: one without a source is refused by it.
func (p *plane) waitForCDI(t *testing.T) {
	t.Helper()
	clients := kubernetes.NewForConfigOrDie(p.config)
	until(t, "CDI's API server answers", func(context.Context) error {
		_, err := clients.Discovery().ServerResourcesForGroupVersion("upload.cdi.kubevirt.io/v1beta1")
		return err
	})
	bad := &cdiv1.DataVolume{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "without-a-source"}}
	until(t, "CDI refuses a bad volume", func(ctx context.Context) error {
		err := p.client.Create(ctx, bad.DeepCopy(), client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), "datavolume-validate.cdi.kubevirt.io") {
			return fmt.Errorf("the answer is %w", err)
		}
		return nil
	})
}
