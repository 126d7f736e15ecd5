package controlplane

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// probeEvery is short because people wait for it.
const probeEvery = 50 * time.Millisecond

// waitReady asks the API server, as the admin would, until it says that it is
// ready, or until it ended.
func waitReady(ctx context.Context, kubeconfig string, server *component) error {
	probe, err := newProbe(kubeconfig)
	if err != nil {
		return err
	}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if probe(ctx) {
				return nil
			}
		case <-server.done:
			return server.ended()
		case <-ctx.Done():
			return fmt.Errorf("wait for kube-apiserver: %w", context.Cause(ctx))
		}
	}
}

// newProbe returns a function that says whether the API server is ready.
func newProbe(kubeconfig string) (func(context.Context) bool, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	client.Timeout = 5 * time.Second
	return func(ctx context.Context) bool { return answersOK(ctx, client, config.Host+"/readyz") }, nil
}

func answersOK(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}
