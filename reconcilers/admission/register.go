package admission

import (
	"net/http"

	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// server is what handlers are registered with; a webhook.Server is one.
type server interface {
	Register(path string, hook http.Handler)
}

var _ server = webhook.Server(nil)

// Deps are the collaborators of the handlers.
type Deps struct {
	// Reader reads the objects that rules depend on; nil means the manager's API
	// reader, because an object may be admitted a moment after the one that it
	// depends on.
	Reader client.Reader
}

// SetupWithManager registers all handlers with the manager's webhook server.
func SetupWithManager(mgr ctrl.Manager, deps Deps) error {
	if deps.Reader == nil {
		deps.Reader = mgr.GetAPIReader()
	}
	Register(mgr.GetWebhookServer(), mgr.GetScheme(), deps.Reader)
	return nil
}

// Register registers all handlers with a server. The paths are those that
// Configurations and Conversion tell the API server.
func Register(s server, scheme *runtime.Scheme, reader client.Reader) {
	decoder := admission.NewDecoder(scheme)
	s.Register(mutatePath(machines), &admission.Webhook{Handler: defaulter{reader: reader, decoder: decoder}})
	validate(s, machines, reader, decoder, judgeMachine, func() *v1alpha2.VirtualMachine { return &v1alpha2.VirtualMachine{} })
	validate(s, disks, reader, decoder, judgeDisk, func() *v1alpha2.VirtualDisk { return &v1alpha2.VirtualDisk{} })
	validate(s, images, reader, decoder, judgeImage, func() *v1alpha2.VirtualImage { return &v1alpha2.VirtualImage{} })
	validate(s, clusterImages, reader, decoder, judgeClusterImage, func() *v1alpha2.ClusterVirtualImage { return &v1alpha2.ClusterVirtualImage{} })
	validate(s, addresses, reader, decoder, judgeAddress, func() *v1alpha2.VirtualMachineIPAddress { return &v1alpha2.VirtualMachineIPAddress{} })
	validate(s, leases, reader, decoder, judgeLease, func() *v1alpha2.VirtualMachineIPAddressLease { return &v1alpha2.VirtualMachineIPAddressLease{} })
	validate(s, classes, reader, decoder, judgeClass, func() *v1alpha2.VirtualMachineClass { return &v1alpha2.VirtualMachineClass{} })
	s.Register(conversionPath, http.HandlerFunc(convert))
}

func validate[O client.Object](s server, k kind, reader client.Reader, decoder admission.Decoder, judge rules[O], empty func() O) {
	s.Register(validatePath(k), &admission.Webhook{Handler: validator[O]{make: empty, judge: judge, reader: reader, decoder: decoder}})
}
