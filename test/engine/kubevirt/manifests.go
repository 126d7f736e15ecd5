package kubevirt

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"

	"slipway.dev/slipway/test/engine/apply"
)

// Namespace is where KubeVirt lives.
const Namespace = "kubevirt"

// ServiceAccounts of the control plane. KubeVirt's webhooks know them by these names.
const (
	APIAccount        = "kubevirt-apiserver"
	ControllerAccount = "kubevirt-controller"
)

// Shape says how the control plane runs.
type Shape string

const (
	// Pods is how KubeVirt deploys itself.
	Pods Shape = "pods"
	// Processes runs virt-api and virt-controller on the host.
	Processes Shape = "processes"
)

// Plan is what decides about the objects.
type Plan struct {
	// Shape of the control plane.
	Shape Shape
	// Port of virt-api on the host, for Processes.
	Port int
	// Gates are the feature gates to switch on; empty means those that Slipway makes use of.
	Gates []string
}

// Names of stages that somebody has to wait for or at.
const (
	// Webhooks is the last stage: virt-api must answer before it.
	Webhooks = "60-webhooks"
	status   = "16-kubevirt-status"
)

// Manifests asks KubeVirt's own generators, in a program built from the module, for everything that its operator would
// install. The files, certificates among them, stay in the directory.
func Manifests(ctx context.Context, generator, dir string, plan Plan) ([]apply.Stage, error) {
	args := []string{"--out", dir, "--shape", string(plan.Shape), "--namespace", Namespace, "--port", strconv.Itoa(plan.Port)}
	for _, gate := range plan.Gates {
		args = append(args, "--feature-gates", gate)
	}
	if output, err := exec.CommandContext(ctx, generator, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("generate KubeVirt's manifests: %w: %s", err, output)
	}
	stages, err := apply.ReadStages(dir)
	if err != nil {
		return nil, fmt.Errorf("read KubeVirt's manifests: %w", err)
	}
	for i := range stages {
		if stages[i].Name == status {
			stages[i].Subresource = "status"
		}
	}
	return stages, nil
}

// Pair are the files of a component's certificate below the directory of the manifests.
func Pair(dir, secret string) (certificate, key string) {
	base := filepath.Join(dir, "certs", secret)
	return filepath.Join(base, "tls.crt"), filepath.Join(base, "tls.key")
}
