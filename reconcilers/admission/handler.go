package admission

import (
	"context"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// revision is an object as it would become and, on updates, as it is.
type revision[O client.Object] struct {
	new O
	// old is only set on updates.
	old     O
	updates bool
}

// verdict is what a kind's rules say.
type verdict struct {
	errors   field.ErrorList
	warnings []string
}

// rules judge one kind. An error means that judging was not possible.
type rules[O client.Object] func(ctx context.Context, reader client.Reader, r revision[O]) (verdict, error)

// validator puts rules behind an admission review.
type validator[O client.Object] struct {
	make    func() O
	judge   rules[O]
	reader  client.Reader
	decoder admission.Decoder
}

// Handle answers one review. Deleting is always allowed, and so is any change of
// an object that is being deleted, or it could never lose its finalizers.
func (v validator[O]) Handle(ctx context.Context, request admission.Request) admission.Response {
	if request.Operation == admissionv1.Delete {
		return admission.Allowed("")
	}
	r := revision[O]{new: v.make(), old: v.make(), updates: request.Operation == admissionv1.Update}
	if err := v.decoder.Decode(request, r.new); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if r.updates {
		if err := v.decoder.DecodeRaw(request.OldObject, r.old); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
	}
	if !r.new.GetDeletionTimestamp().IsZero() {
		return admission.Allowed("")
	}
	said, err := v.judge(ctx, v.reader, r)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	if len(said.errors) > 0 {
		return admission.Denied(said.errors.ToAggregate().Error())
	}
	return admission.Allowed("").WithWarnings(said.warnings...)
}
