package cdi

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"

	"slipway.dev/slipway/test/engine/apply"
)

// Namespace is where CDI lives.
const Namespace = "cdi"

// APIAccount is the ServiceAccount of CDI's API server.
const APIAccount = "cdi-apiserver"

// Shape says how the control plane runs.
type Shape string

const (
	// Pods is how CDI deploys itself.
	Pods Shape = "pods"
	// Processes runs CDI's API server on the host, and no controller.
	Processes Shape = "processes"
)

// Plan is what decides about the objects.
type Plan struct {
	// Shape of the control plane.
	Shape Shape
	// Port of CDI's API server on the host, for Processes.
	Port int
}

// Webhooks is the last stage: CDI's API server must answer before it.
const Webhooks = "60-webhooks"

// Manifests asks CDI's own generators, in a program built from the module, for everything that its operator would
// install. The files, certificates among them, stay in the directory.
func Manifests(ctx context.Context, generator, dir string, plan Plan) ([]apply.Stage, error) {
	args := []string{"-out", dir, "-shape", string(plan.Shape), "-namespace", Namespace, "-port", strconv.Itoa(plan.Port)}
	if output, err := exec.CommandContext(ctx, generator, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("generate CDI's manifests: %w: %s", err, output)
	}
	stages, err := apply.ReadStages(dir)
	if err != nil {
		return nil, fmt.Errorf("read CDI's manifests: %w", err)
	}
	return stages, nil
}

// Pair are the files of a component's certificate below the directory of the manifests.
func Pair(dir, secret string) (certificate, key string) {
	base := filepath.Join(dir, "certs", secret)
	return filepath.Join(base, "tls.crt"), filepath.Join(base, "tls.key")
}
