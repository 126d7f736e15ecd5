package admission

import (
	"encoding/json"
	"fmt"
	"net/http"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha3"
)

// maxReview is more than the API server sends at once.
const maxReview = 64 << 20

// convert answers a conversion review of VirtualMachineClass.
func convert(w http.ResponseWriter, r *http.Request) {
	review := apiextensionsv1.ConversionReview{}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxReview)).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "the body is no ConversionReview", http.StatusBadRequest)
		return
	}
	review.Response = answer(review.Request)
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(review); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func answer(request *apiextensionsv1.ConversionRequest) *apiextensionsv1.ConversionResponse {
	response := &apiextensionsv1.ConversionResponse{UID: request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
	for _, object := range request.Objects {
		converted, err := convertClass(object.Raw, request.DesiredAPIVersion)
		if err != nil {
			response.Result = metav1.Status{Status: metav1.StatusFailure, Message: err.Error()}
			response.ConvertedObjects = nil
			return response
		}
		response.ConvertedObjects = append(response.ConvertedObjects, runtime.RawExtension{Raw: converted})
	}
	return response
}

func convertClass(raw []byte, version string) ([]byte, error) {
	var from metav1.TypeMeta
	if err := json.Unmarshal(raw, &from); err != nil {
		return nil, fmt.Errorf("read object to convert: %w", err)
	}
	translated, err := translate(raw, from.APIVersion, version)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(translated)
	if err != nil {
		return nil, fmt.Errorf("write converted class: %w", err)
	}
	return text, nil
}

func translate(raw []byte, from, to string) (any, error) {
	older, newer := v1alpha2.SchemeGroupVersion.String(), v1alpha3.SchemeGroupVersion.String()
	switch {
	case from == older && to == newer:
		class := &v1alpha2.VirtualMachineClass{}
		if err := json.Unmarshal(raw, class); err != nil {
			return nil, fmt.Errorf("read class: %w", err)
		}
		return v1alpha3.FromV1alpha2(class), nil
	case from == newer && to == older:
		class := &v1alpha3.VirtualMachineClass{}
		if err := json.Unmarshal(raw, class); err != nil {
			return nil, fmt.Errorf("read class: %w", err)
		}
		converted, err := v1alpha3.ToV1alpha2(class)
		if err != nil {
			return nil, fmt.Errorf("translate class: %w", err)
		}
		return converted, nil
	default:
		return nil, fmt.Errorf("convert class from %s to %s: only %s and %s are known", from, to, older, newer)
	}
}
