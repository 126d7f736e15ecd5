package controlplane_test

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"slipway.dev/slipway/local/controlplane"
)

func ExampleRun() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := controlplane.Run(ctx, controlplane.Config{
		Dir:         "/var/lib/example/controlplane",
		Controllers: controlplane.DefaultControllers,
		OnReady:     func(r controlplane.Ready) { fmt.Println(r.Kubeconfig) },
	})
	if err != nil {
		fmt.Println(err)
	}
}
