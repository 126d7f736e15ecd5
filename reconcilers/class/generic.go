package class

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

const (
	genericName = "generic"
	// markerName names the ConfigMap that says that the class was made once, so
	// that a cluster whose owner deleted it stays without.
	markerName = "virtualmachineclass-generic-created"
)

// generic creates the class "generic" once. It is a leader's runnable that ends
// after its work.
type generic struct {
	client    client.Client
	reader    client.Reader
	namespace string
}

// NeedLeaderElection makes one of several replicas do the work.
func (g *generic) NeedLeaderElection() bool { return true }

// retryEvery is long enough for the admission webhooks, which this process may serve itself, to come up meanwhile.
const retryEvery = 3 * time.Second

// Start creates the class unless it was made before, and tries until it can: a
// cluster without the class is no reason to end the process.
func (g *generic) Start(ctx context.Context) error {
	_ = wait.PollUntilContextCancel(ctx, retryEvery, true, func(ctx context.Context) (bool, error) {
		err := g.ensure(ctx)
		if err != nil {
			log.FromContext(ctx).Info("the class is not made yet, trying again", "class", genericName, "reason", err.Error())
		}
		return err == nil, nil
	})
	return nil
}

// ensure creates the class unless the marker is there. The marker comes last:
// whoever dies in between finds the class already there.
func (g *generic) ensure(ctx context.Context) error {
	marker := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: g.namespace, Name: markerName}}
	err := g.reader.Get(ctx, client.ObjectKeyFromObject(marker), marker)
	if err == nil {
		return nil
	}
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("look for marker %s: %w", markerName, err)
	}
	for _, object := range []client.Object{genericClass(), marker} {
		if err := g.client.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}

// genericClass suits any x86-64 server of the last fifteen years. Small
// machines may share cores, large ones may not.
func genericClass() *v1alpha2.VirtualMachineClass {
	return &v1alpha2.VirtualMachineClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:   genericName,
			Labels: map[string]string{"app": "virtualization-controller", "module": "virtualization"},
		},
		Spec: v1alpha2.VirtualMachineClassSpec{
			CPU: v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeModel, Model: "Nehalem"},
			SizingPolicies: []v1alpha2.SizingPolicy{
				genericPolicy(1, 4, []bool{false}, 5, 10, 20, 50, 100),
				genericPolicy(5, 8, []bool{false}, 20, 50, 100),
				genericPolicy(9, 16, []bool{true, false}, 50, 100),
				genericPolicy(17, 1024, []bool{true, false}, 100),
			},
		},
	}
}

func genericPolicy(from, to int, dedicated []bool, fractions ...v1alpha2.CoreFraction) v1alpha2.SizingPolicy {
	return v1alpha2.SizingPolicy{
		Cores:          v1alpha2.SizingPolicyCores{Min: from, Max: to},
		CoreFractions:  fractions,
		DedicatedCores: dedicated,
	}
}
