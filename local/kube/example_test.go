package kube_test

import (
	"context"
	"fmt"
	"os"

	"slipway.dev/slipway/local/kube"
)

func ExampleStart() {
	ctx := context.Background()
	plane, err := kube.Start(ctx, kube.Options{
		Dir:      "/var/lib/example/controlplane",
		Progress: func(step string) { fmt.Fprintln(os.Stderr, step) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = plane.Stop(ctx) }()
	fmt.Println("kubectl --kubeconfig", plane.Kubeconfig(), "get namespaces")
}
