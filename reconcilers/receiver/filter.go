package receiver

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/expression"
)

// filter chooses among the sources of a receiver; nil takes them all.
type filter struct {
	expression *expression.Expression
	request    map[string]any
}

func compileFilter(text string) (*expression.Expression, error) {
	return expression.Compile(text, "res", "req")
}

// filterOf makes the filter of an authenticated request. A body that does not call
// itself JSON is not parsed: the expression then sees an empty one.
func filterOf(receiver *v1alpha1.Receiver, header http.Header, body []byte) (*filter, error) {
	if receiver.Spec.ResourceFilter == "" {
		return nil, nil
	}
	compiled, err := compileFilter(receiver.Spec.ResourceFilter)
	if err != nil {
		return nil, &refusal{http.StatusNotFound, "there is nobody here"} // as its status says
	}
	f := &filter{expression: compiled, request: map[string]any{}}
	if kind, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || kind != "application/json" {
		return f, nil
	}
	if err := json.Unmarshal(body, &f.request); err != nil {
		return nil, &refusal{http.StatusBadRequest, "the body is no JSON object"}
	}
	return f, nil
}

// takes tells whether a source is meant.
func (f *filter) takes(ctx context.Context, c client.Client, source client.Object) (bool, error) {
	if f == nil {
		return true, nil
	}
	gvk, err := c.GroupVersionKindFor(source)
	if err != nil {
		return false, fmt.Errorf("name the kind of a source: %w", err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(source)
	if err != nil {
		return false, fmt.Errorf("read %s %s: %w", gvk.Kind, source.GetName(), err)
	}
	seen := map[string]any{"apiVersion": gvk.GroupVersion().String(), "kind": gvk.Kind, "metadata": content["metadata"]}
	takes, err := f.expression.Holds(ctx, map[string]any{"res": seen, "req": f.request})
	if err != nil {
		return false, &refusal{http.StatusUnprocessableEntity, fmt.Sprintf("spec.resourceFilter: %s", err)}
	}
	return takes, nil
}
