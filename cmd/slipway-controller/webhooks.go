package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"slipway.dev/slipway/reconcilers/admission"
	"slipway.dev/slipway/reconcilers/setup"
)

// What config/ names too.
const (
	certificateSecret = "slipway-webhook-certificate"
	webhookService    = "slipway-webhook"
)

// serveWebhooks keeps a certificate for the webhooks in a Secret, tells the API server of its authority, and serves the
// handlers as soon as the certificate is mounted. The readiness probe waits for that.
func serveWebhooks(ctx context.Context, mgr ctrl.Manager, o *options, stages []setup.Stage) error {
	if !slices.Contains(stages, setup.Virtualization) {
		return ready(mgr, func(*http.Request) error { return nil })
	}
	mounted := make(chan struct{})
	host := webhookService + "." + o.namespace + ".svc"
	err := rotator.AddRotator(mgr, &rotator.CertRotator{
		SecretKey:      types.NamespacedName{Namespace: o.namespace, Name: certificateSecret},
		CertDir:        o.certDir,
		CAName:         "slipway-webhook-authority",
		CAOrganization: "slipway",
		DNSName:        host,
		ExtraDNSNames:  []string{host + ".cluster.local"},
		IsReady:        mounted,
		FieldOwner:     "slipway-controller",
		Webhooks: []rotator.WebhookInfo{
			{Name: admission.ValidatingName, Type: rotator.Validating},
			{Name: admission.MutatingName, Type: rotator.Mutating},
			{Name: admission.ConvertedDefinition, Type: rotator.CRDConversion},
		},
	})
	if err != nil {
		return fmt.Errorf("keep the webhook's certificate: %w", err)
	}
	handlers := make(chan error, 1)
	go func() {
		select {
		case <-mounted:
			handlers <- admission.SetupWithManager(mgr, admission.Deps{})
		case <-ctx.Done():
		}
	}()
	return ready(mgr, (&progress{server: mgr.GetWebhookServer, handlers: handlers, state: errNoCertificate}).check)
}

func ready(mgr ctrl.Manager, check healthz.Checker) error {
	if err := mgr.AddReadyzCheck("ready", check); err != nil {
		return fmt.Errorf("add the readiness probe: %w", err)
	}
	return nil
}

var errNoCertificate = errors.New("the webhook's certificate is not mounted yet")

// progress answers the readiness probe.
type progress struct {
	server   func() webhook.Server
	handlers <-chan error

	mu    sync.Mutex
	state error // nil once the handlers are registered
}

func (p *progress) check(r *http.Request) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.state = <-p.handlers:
	default:
	}
	if p.state != nil {
		return p.state
	}
	return p.server().StartedChecker()(r)
}
