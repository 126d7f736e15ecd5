package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	certutil "k8s.io/client-go/util/cert"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"slipway.dev/slipway/reconcilers/admission"
)

const loopback = "127.0.0.1"

// newWebhookServer makes a server with a certificate for loopback that lives as
// long as this process. Its port stays the same, because the API server, which
// remembers it, starts first.
func (p *Platform) newWebhookServer() (webhook.Server, error) {
	dir := filepath.Join(p.options.Layout.Run(), "webhook")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the webhook certificate: %w", err)
	}
	certificate, key, err := certutil.GenerateSelfSignedCertKey(loopback, []net.IP{net.ParseIP(loopback)}, nil)
	if err != nil {
		return nil, fmt.Errorf("make the webhook certificate: %w", err)
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "tls.crt"), certificate, 0o600),
		os.WriteFile(filepath.Join(dir, "tls.key"), key, 0o600),
	)
	if err != nil {
		return nil, fmt.Errorf("write the webhook certificate: %w", err)
	}
	address, err := stableAddress(filepath.Join(dir, "address"))
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("read the webhook address: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("read the webhook port: %w", err)
	}
	p.webhooks = admission.Endpoint{BaseURL: "https://" + address, CABundle: certificate}
	return webhook.NewServer(webhook.Options{Host: loopback, Port: number, CertDir: dir}), nil
}

// installWebhooks registers the handlers and tells the API server of them.
func (p *Platform) installWebhooks(ctx context.Context, mgr ctrl.Manager) error {
	if err := admission.SetupWithManager(mgr, admission.Deps{}); err != nil {
		return err
	}
	mutating, validating := admission.Configurations(p.webhooks)
	for _, config := range []client.Object{mutating, validating} {
		if err := apply(ctx, p.client, config); err != nil {
			return err
		}
	}
	return p.convertClasses(ctx)
}

// convertClasses has the API server translate between the versions of the class.
func (p *Platform) convertClasses(ctx context.Context) error {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := p.client.Get(ctx, client.ObjectKey{Name: admission.ConvertedDefinition}, definition); err != nil {
		return fmt.Errorf("get the definition of classes: %w", err)
	}
	base := client.MergeFrom(definition.DeepCopy())
	definition.Spec.Conversion = admission.Conversion(p.webhooks)
	if err := p.client.Patch(ctx, definition, base); err != nil {
		return fmt.Errorf("set the conversion of classes: %w", err)
	}
	return nil
}

// waitServing waits until the webhooks answer, so that nothing is refused
// because of their absence.
func waitServing(ctx context.Context, mgr ctrl.Manager) error {
	started := mgr.GetWebhookServer().StartedChecker()
	var last error
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		last = started(nil)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the webhooks: %w", errors.Join(err, last))
	}
	return nil
}
