package image

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vicondition"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/refuse"
)

// resolveSource sets source and content. An image that is in DVCR needs its
// source no more.
func (e *engine) resolveSource(ctx context.Context, s *scope) flow.Outcome {
	if s.imported() || s.transfer != nil {
		s.source = sourceReady()
		return flow.Done()
	}
	if problem := refusal(s.spec); problem != "" {
		s.source = readiness{known: true, reason: refuse.NotSupported, message: problem}
		return flow.Stall(refuse.NotSupported, "%s", problem)
	}
	switch s.spec.DataSource.Type {
	case v1alpha2.DataSourceHTTP:
		s.content = intake.HTTP(s.spec.DataSource.HTTP)
	case v1alpha2.DataSourceUpload:
		s.content = intake.Upload(0)
	case v1alpha2.DataSourceObjectRef:
		return e.resolveObject(ctx, s)
	default:
		return e.resolveContainerImage(ctx, s)
	}
	s.source = sourceReady()
	return flow.Done()
}

func (e *engine) resolveContainerImage(ctx context.Context, s *scope) flow.Outcome {
	login, err := e.login(ctx, s)
	if apierrors.IsNotFound(err) || errors.Is(err, intake.ErrBadSecret) {
		s.source = readiness{known: true, reason: vicondition.ContainerRegistrySecretNotFound, message: secretProblem(s, err)}
		return flow.Wait(s.source.reason, 0, "%s", s.source.message)
	}
	if err != nil {
		return flow.Fail("SecretUnreadable", err)
	}
	trust, err := intake.TrustOf(ctx, e.secrets, s.object, e.signedBy)
	if apierrors.IsNotFound(err) || errors.Is(err, intake.ErrBadSecret) {
		s.source = readiness{known: true, reason: vicondition.ContainerRegistrySecretNotFound, message: err.Error()}
		return flow.Wait(s.source.reason, 0, "%s", s.source.message)
	}
	if err != nil {
		return flow.Fail("SecretUnreadable", err)
	}
	s.content = intake.Registry(s.container(), login)
	s.content.Registry.SignedBy = trust
	s.source = sourceReady()
	return flow.Done()
}

func (e *engine) login(ctx context.Context, s *scope) (intake.Login, error) {
	if s.pullSecret.Name == "" {
		return intake.Login{}, nil
	}
	var secret corev1.Secret
	if err := e.secrets.Get(ctx, s.pullSecret, &secret); err != nil {
		return intake.Login{}, fmt.Errorf("get Secret %s: %w", s.pullSecret, err)
	}
	return s.credentials(&secret)
}

func secretProblem(s *scope, err error) string {
	if apierrors.IsNotFound(err) {
		return fmt.Sprintf("Secret %s named by imagePullSecret is not there; create it", s.pullSecret)
	}
	return err.Error()
}

func sourceReady() readiness {
	return readiness{known: true, ready: true, reason: vicondition.DatasourceReady}
}

// refusal says what in a spec this version cannot do, empty when it can do all.
func refusal(spec v1alpha2.VirtualImageSpec) string {
	source := spec.DataSource
	switch {
	case source.Type == v1alpha2.DataSourceHTTP && source.HTTP != nil:
		return ""
	case source.Type == v1alpha2.DataSourceContainerImage && source.ContainerImage != nil, source.Type == v1alpha2.DataSourceUpload:
		return ""
	case source.Type == v1alpha2.DataSourceObjectRef && source.ObjectRef != nil:
		return ""
	default:
		return fmt.Sprintf("a data source of type %q is not supported by this version; use HTTP, ContainerImage, ObjectRef or Upload", source.Type)
	}
}
