package kubetest_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/test/kubetest"
)

func ExampleStart() {
	// In a test's file, a function Test...(t *testing.T).
	_ = func(t *testing.T) {
		config := kubetest.Start(t, "../../config/crd")
		c, err := client.New(config, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		namespace := kubetest.Namespace(t, c)
		if err := c.List(t.Context(), &corev1.ConfigMapList{}, client.InNamespace(namespace)); err != nil {
			t.Error(err)
		}
	}
}
