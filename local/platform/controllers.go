package platform

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/client-go/rest"
	virtv1 "kubevirt.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"slipway.dev/slipway/config/rbac"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/internal/lazylog"
	"slipway.dev/slipway/local/node"
	"slipway.dev/slipway/local/node/instance"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/setup"
)

// ConsoleLog is the file that holds what an instance wrote to its serial line
// last; it is begun anew when it becomes large. Empty when the instance does not run on this machine.
func ConsoleLog(vmi *virtv1.VirtualMachineInstance) string {
	socket := vmi.Annotations[instance.SerialAnnotation]
	if socket == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(socket), "console.log")
}

// startControllers runs every controller, the webhooks and the engine in one
// manager in this process.
func (p *Platform) startControllers(ctx context.Context) (string, error) {
	config, err := p.controllersConfig(ctx)
	if err != nil {
		return "", err
	}
	mgr, err := p.newManager(config)
	if err != nil {
		return "", err
	}
	uploads, err := p.serveUploads()
	if err != nil {
		return "", err
	}
	if err := p.startEngine(ctx, mgr); err != nil {
		return "", err
	}
	imports := importer.NewRunner(p.dvcr.Client(), importer.Options{Dir: p.options.Layout.Imports(), Egress: p.egress(), Uploads: uploads, Volumes: lender{p}})
	err = setup.Controllers(mgr, setup.Options{
		StoreDir:     p.options.Layout.Store(),
		Imports:      imports,
		Repositories: p.dvcr.Client(),
		Login:        func(namespace string) intake.Login { return intake.Login(p.dvcr.Key().ReaderOf(namespace)) },
		Garbage:      p.dvcr.Client(),
		Namespace:    rbac.ControllerNamespace,

		RegistryAddress: p.dvcr.Addr(),
		EndOnReset:      true,
		ReceiverAddress: p.options.ReceiverAddress,
		Freezer:         p.engine,
		Egress:          p.egress(),
	})
	if err != nil {
		return "", err
	}
	if err := p.installWebhooks(ctx, mgr); err != nil {
		return "", err
	}
	p.cache = mgr.GetCache()
	p.run(ctx, mgr, imports)
	if err := waitServing(ctx, mgr); err != nil {
		return "", err
	}
	return "guests run on " + p.engine.Accelerator().Accelerator, nil
}

// egress allows loopback: on one machine the servers that people try things with
// are their own.
func (p *Platform) egress() egress.Policy {
	return egress.Policy{Allow: slices.Concat(egress.Loopback, p.options.AllowNetworks)}
}

func (p *Platform) newManager(config *rest.Config) (ctrl.Manager, error) {
	file, err := os.OpenFile(filepath.Join(p.options.Layout.Run(), "controllers.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the controllers' log: %w", err)
	}
	ctrl.SetLogger(lazylog.Wrap(zap.New(zap.WriteTo(file))))
	// HTTP servers complain of a client by the standard log: of the API server, too, while it knows the webhooks of the run before.
	log.SetOutput(file)
	scheme, err := setup.Scheme()
	if err != nil {
		return nil, err
	}
	server, err := p.newWebhookServer()
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:        scheme,
		Metrics:       metricsserver.Options{BindAddress: p.options.MetricsAddress},
		WebhookServer: server,
		// Nobody here asks who set a field, and the answer is as long as the object.
		Cache: cache.Options{DefaultTransform: cache.TransformStripManagedFields()},

		PprofBindAddress: p.options.ProfileAddress,
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	return mgr, nil
}

func (p *Platform) startEngine(ctx context.Context, mgr ctrl.Manager) error {
	reader := p.dvcr.Reader()
	engine, err := node.New(ctx, node.Options{
		Dir:         p.options.Layout.Node(),
		Credentials: instance.Credentials{Host: p.dvcr.Addr(), Username: reader.Username, Password: reader.Password},
	})
	if err != nil {
		return err
	}
	p.engine = engine
	return engine.SetupWithManager(mgr)
}
