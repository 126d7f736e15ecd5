package receiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

const (
	// maxBody is the largest request that is read.
	maxBody = 1 << 20
	// maxReceivers is how many receivers' rates are remembered.
	maxReceivers = 1000
)

// A receiver acts so often at most. What comes faster is told to come again.
const (
	perSecond = 1
	burst     = 20
)

// Handler answers webhooks.
type Handler struct {
	client  client.Client
	secrets client.Reader
	clock   clock.PassiveClock
	memory  *memory

	mu    sync.Mutex
	rates map[types.NamespacedName]*rate.Limiter
}

// NewHandler makes the handler. The client's cache must have the index by path.
func NewHandler(c client.Client, secrets client.Reader, now clock.PassiveClock) *Handler {
	return &Handler{client: c, secrets: secrets, clock: now, memory: newMemory(now), rates: map[types.NamespacedName]*rate.Limiter{}}
}

// refusal is an answer that is no success.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := h.serve(w, r)
	var refused *refusal
	switch {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case errors.As(err, &refused):
		http.Error(w, refused.text, refused.code)
	default:
		ctrl.LoggerFrom(r.Context()).WithName("receiver").Error(err, "answer a webhook")
		http.Error(w, "this cannot be done right now; send it again", http.StatusInternalServerError)
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	if !strings.HasPrefix(r.URL.Path, PathPrefix) {
		return &refusal{http.StatusNotFound, "there is nobody here"}
	}
	if r.Method != http.MethodPost {
		return &refusal{http.StatusMethodNotAllowed, "only POST is answered"}
	}
	receiver, token, err := h.find(r.Context(), r.URL.Path)
	if err != nil {
		return err
	}
	if !h.rate(client.ObjectKeyFromObject(receiver)).AllowN(h.clock.Now(), 1) {
		return &refusal{http.StatusTooManyRequests, "too many requests; send it again later"}
	}
	body, err := read(w, r)
	if err != nil {
		return err
	}
	if err := authenticate(receiver.Spec.Type, token, r.Header, body); err != nil {
		return &refusal{http.StatusUnauthorized, err.Error()}
	}
	return h.act(r, receiver, body)
}

// find looks a receiver up by its path, and makes sure that the path is still that
// of the token.
func (h *Handler) find(ctx context.Context, path string) (*v1alpha1.Receiver, []byte, error) {
	nobody := &refusal{http.StatusNotFound, "there is nobody here"}
	list := &v1alpha1.ReceiverList{}
	if err := h.client.List(ctx, list, client.MatchingFields{pathIndex: path}); err != nil {
		return nil, nil, fmt.Errorf("look for the receiver: %w", err)
	}
	for i := range list.Items {
		receiver := &list.Items[i]
		if receiver.Spec.Suspend {
			continue
		}
		token, err := tokenOf(ctx, h.secrets, receiver)
		switch {
		case errors.Is(err, errToken):
			continue
		case err != nil:
			return nil, nil, err
		case equal([]byte(pathOf(token, receiver)), path) != nil:
			continue
		}
		return receiver, token, nil
	}
	return nil, nil, nobody
}

func (h *Handler) rate(name types.NamespacedName) *rate.Limiter {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, found := h.rates[name]
	if !found {
		if len(h.rates) >= maxReceivers {
			clear(h.rates)
		}
		l = rate.NewLimiter(perSecond, burst)
		h.rates[name] = l
	}
	return l
}

func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", maxBody)}
	if r.ContentLength > maxBody {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return nil, tooLarge
	case err != nil:
		return nil, &refusal{http.StatusBadRequest, "the body cannot be read"}
	}
	return body, nil
}

// act wakes the sources of an authenticated request.
func (h *Handler) act(r *http.Request, receiver *v1alpha1.Receiver, body []byte) error {
	if !counts(receiver, eventOf(receiver.Spec.Type, r.Header, body)) {
		return nil
	}
	d := deliveryOf(r.URL.Path, body)
	if unique[receiver.Spec.Type] && h.memory.knows(d) {
		return nil
	}
	chosen, err := filterOf(receiver, r.Header, body)
	if err != nil {
		return err
	}
	if err := h.wake(r.Context(), receiver, chosen); err != nil {
		return err
	}
	h.memory.remember(d)
	return nil
}

// wake asks for a look at each source that a receiver names and its filter takes.
// One that is not there does not keep the others from it.
func (h *Handler) wake(ctx context.Context, receiver *v1alpha1.Receiver, chosen *filter) error {
	at := h.clock.Now().UTC().Format(time.RFC3339Nano)
	var problems []error
	for _, resource := range receiver.Spec.Resources {
		sources, err := h.sources(ctx, receiver.Namespace, resource)
		problems = append(problems, err)
		for _, source := range sources {
			takes, err := chosen.takes(ctx, h.client, source)
			problems = append(problems, err)
			if !takes {
				continue
			}
			patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RequestedAtAnnotation, at)
			err = h.client.Patch(ctx, source, client.RawPatch(types.MergePatchType, []byte(patch)))
			if client.IgnoreNotFound(err) != nil {
				problems = append(problems, fmt.Errorf("ask for a look at %s %s: %w", resource.Kind, client.ObjectKeyFromObject(source), err))
			}
		}
	}
	return errors.Join(problems...)
}

// sources are those that a resource means, in the receiver's own namespace.
func (h *Handler) sources(ctx context.Context, namespace string, resource v1alpha1.ReceiverResource) ([]client.Object, error) {
	if resource.Name != "*" {
		source := sourceOf(resource.Kind)
		err := h.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: resource.Name}, source)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("read %s %s: %w", resource.Kind, resource.Name, err)
		}
		if err != nil {
			return nil, nil
		}
		return []client.Object{source}, nil
	}
	options := []client.ListOption{client.InNamespace(namespace), client.MatchingLabels(resource.MatchLabels)}
	var found []client.Object
	if resource.Kind == v1alpha1.OCIRepositoryKind {
		list := &v1alpha1.OCIRepositoryList{}
		if err := h.client.List(ctx, list, options...); err != nil {
			return nil, fmt.Errorf("list OCIRepositories: %w", err)
		}
		for i := range list.Items {
			found = append(found, &list.Items[i])
		}
		return found, nil
	}
	list := &v1alpha1.GitRepositoryList{}
	if err := h.client.List(ctx, list, options...); err != nil {
		return nil, fmt.Errorf("list GitRepositories: %w", err)
	}
	for i := range list.Items {
		found = append(found, &list.Items[i])
	}
	return found, nil
}

func sourceOf(kind string) client.Object {
	if kind == v1alpha1.OCIRepositoryKind {
		return &v1alpha1.OCIRepository{}
	}
	return &v1alpha1.GitRepository{}
}
