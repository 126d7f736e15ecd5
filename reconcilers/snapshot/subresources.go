package snapshot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	virtv1 "kubevirt.io/api/core/v1"
)

// Subresources freezes and thaws guests through KubeVirt's aggregated API.
type Subresources struct {
	server *url.URL
	http   *http.Client
}

// ErrRefused says that KubeVirt did not freeze or thaw a guest.
var ErrRefused = errors.New("KubeVirt refused")

// NewSubresources reaches KubeVirt through the API server.
func NewSubresources(config *rest.Config, client *http.Client) (*Subresources, error) {
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("reach KubeVirt's subresources: %w", err)
	}
	return &Subresources{server: server, http: client}, nil
}

// Freeze implements Freezer.
func (k *Subresources) Freeze(ctx context.Context, instance types.NamespacedName, timeout time.Duration) error {
	return k.put(ctx, instance, "freeze", virtv1.FreezeUnfreezeTimeout{UnfreezeTimeout: &metav1.Duration{Duration: timeout}})
}

// Thaw implements Freezer.
func (k *Subresources) Thaw(ctx context.Context, instance types.NamespacedName) error {
	return k.put(ctx, instance, "unfreeze", struct{}{})
}

func (k *Subresources) put(ctx context.Context, instance types.NamespacedName, verb string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%s instance %s: %w", verb, instance, err)
	}
	at := k.server.JoinPath("apis", virtv1.SubresourceGroupName, "v1", "namespaces", instance.Namespace, "virtualmachineinstances", instance.Name, verb)
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, at.String(), bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s instance %s: %w", verb, instance, err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := k.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s instance %s: %w", verb, instance, err)
	}
	defer answer.Body.Close()
	const most = 4 << 10
	words, err := io.ReadAll(io.LimitReader(answer.Body, most))
	if err != nil {
		return fmt.Errorf("%s instance %s: %w", verb, instance, err)
	}
	if answer.StatusCode == http.StatusNotFound && verb == "unfreeze" {
		return nil
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s instance %s: %w: %s: %s", verb, instance, ErrRefused, answer.Status, strings.TrimSpace(string(words)))
	}
	return nil
}
