package controlplane

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"

	"slipway.dev/slipway/local/controlplane/pki"
)

// startControllers runs the named controllers of kube-controller-manager.
func startControllers(ctx context.Context, args []string) (*component, error) {
	manager, err := options.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, fmt.Errorf("make kube-controller-manager options: %w", err)
	}
	known, disabled, aliases := app.KnownControllers(), app.ControllersDisabledByDefault(), app.ControllerAliases()
	flags := manager.Flags(known, disabled, aliases)
	manager.ParsedFlags = &flags
	if err := parse("kube-controller-manager", flags, args); err != nil {
		return nil, err
	}
	config, err := manager.Config(ctx, known, disabled, aliases)
	if err != nil {
		return nil, fmt.Errorf("configure kube-controller-manager: %w", err)
	}
	completed := config.Complete()
	return launch("kube-controller-manager", func(ctx context.Context) error { return app.Run(ctx, completed) }), nil
}

// controllerArgs is kube-controller-manager's command line. It serves nothing
// and elects nobody, being alone; each controller acts under its own service
// account, so that RBAC holds for them too.
func controllerArgs(kubeconfig string, controllers []string, files pki.Files) []string {
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--controllers=" + strings.Join(controllers, ","),
		"--leader-elect=false",
		"--secure-port=0",
		"--service-account-private-key-file=" + files.ServiceAccountKey,
		"--root-ca-file=" + files.Authority,
		"--use-service-account-credentials=true",
	}
}
