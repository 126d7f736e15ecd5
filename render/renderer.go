package render

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sync/singleflight"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/lru"

	"slipway.dev/slipway/render/kustomize"
	"slipway.dev/slipway/render/position"
	"slipway.dev/slipway/render/schema"
	"slipway.dev/slipway/render/substitute"
)

// Input is all that a render depends on.
type Input struct {
	// Files of the source.
	Files fs.FS
	// Digest names the files; when it is empty, nothing is remembered.
	Digest string
	// Options are what an Environment adds to them, and the keys to encrypted ones.
	Options kustomize.Options
	// Variables to substitute; nil substitutes nothing.
	Variables substitute.Variables
}

// Result is what a render came to. It is shared: whoever changes an object copies it before.
type Result struct {
	// Objects in the order of the source. kustomize.Origin tells where each comes from.
	Objects []*unstructured.Unstructured
	// Hidden are the fields that hold values of Secrets.
	Hidden substitute.Hidden
}

// timeLimit is how long one render may take. A bundle of a thousand machines takes seconds.
const timeLimit = 2 * time.Minute

var errTooSlow = fmt.Errorf("it takes longer than %s; split the source into several Environments", timeLimit)

// Renderer renders and remembers the results. It is safe for concurrent use; renders of different inputs run in parallel.
type Renderer struct {
	validator *schema.Validator // nil when only the API server checks
	types     substitute.Schemas
	cache     *lru.Cache
	flight    singleflight.Group
	limit     time.Duration
}

// New returns a renderer that remembers the results of its last cacheSize renders. The validator may be nil: then nobody
// but the API server checks objects, and variables take types in Kubernetes' own kinds only.
func New(cacheSize int, validator *schema.Validator) *Renderer {
	types := validator
	if types == nil {
		types = schema.New()
	}
	return &Renderer{validator: validator, types: types, cache: lru.New(max(cacheSize, 1)), limit: timeLimit}
}

// outcome is a result or a fault of the source. Faults are as repeatable as objects.
type outcome struct {
	result Result
	fault  error
}

// Fault returns what is wrong with the source when that is why a render failed: a *kustomize.Error, substitute.Errors or
// schema.Errors. Only a change of the input can cure it.
func Fault(err error) error {
	var source *kustomize.Error
	var variables substitute.Errors
	var fields schema.Errors
	switch {
	case errors.As(err, &source):
		return source
	case errors.As(err, &variables):
		return variables
	case errors.As(err, &fields):
		return fields
	}
	return nil
}

// Render goes the whole way. A directory without manifests renders nothing, which is no error.
func (r *Renderer) Render(ctx context.Context, in Input) (Result, error) {
	if in.Digest == "" {
		return r.render(ctx, in)
	}
	key, err := in.key()
	if err != nil {
		return Result{}, err
	}
	if known, found := r.cache.Get(key); found {
		known := known.(outcome) //nolint:forcetypeassert // the only type that is put there
		return known.result, known.fault
	}
	return r.once(ctx, key, in)
}

// key names a render: the tree, and all that is done with it.
func (in Input) key() (string, error) {
	text, err := json.Marshal(in.Options)
	if err != nil {
		return "", fmt.Errorf("encode render options: %w", err)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%s\n%s", in.Digest, in.Options.Keys.Digest(), in.Variables.Digest(), text)
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// once renders for all who ask for the same at the same time. It goes on when one of them gives up.
func (r *Renderer) once(ctx context.Context, key string, in Input) (Result, error) {
	done := r.flight.DoChan(key, func() (any, error) {
		result, err := r.render(context.WithoutCancel(ctx), in)
		out := outcome{result: result, fault: Fault(err)}
		if err != nil && out.fault == nil {
			return nil, err
		}
		r.cache.Add(key, out)
		return out, nil
	})
	select {
	case <-ctx.Done():
		return Result{}, fmt.Errorf("render: %w", context.Cause(ctx))
	case answer := <-done:
		if answer.Err != nil {
			return Result{}, answer.Err //nolint:wrapcheck // our own
		}
		out := answer.Val.(outcome) //nolint:forcetypeassert // the only type that is returned there
		return out.result, out.fault
	}
}

func (r *Renderer) render(ctx context.Context, in Input) (Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.limit, errTooSlow)
	defer cancel()
	objects, err := kustomize.Render(ctx, in.Files, in.Options)
	if err != nil {
		return Result{}, err
	}
	finder := position.NewFinder(in.Files)
	hidden, err := substitute.Apply(objects, in.Variables, r.types, finder.Text)
	if err != nil {
		return Result{}, err //nolint:wrapcheck // our own
	}
	if r.validator != nil {
		if faults := r.validator.Validate(ctx, objects, in.Files); len(faults) > 0 {
			return Result{}, faults
		}
	}
	return Result{Objects: objects, Hidden: hidden}, nil
}
