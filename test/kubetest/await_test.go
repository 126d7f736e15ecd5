package kubetest_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/test/kubetest"
)

// TestAwait waits for a change that comes later, and for the end.
func TestAwait(t *testing.T) {
	c, err := client.NewWithWatch(kubetest.Start(t), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.Namespace(t, c), Name: "a"}}
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	changed := object.DeepCopy()
	changed.Data = map[string]string{"a": "b"}
	done := make(chan error, 1)
	looks := 0
	kubetest.Await(t, c, object, func() bool {
		if looks++; looks == 1 {
			go func() { done <- c.Update(t.Context(), changed) }()
		}
		return object.Data["a"] == "b"
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	go func() { done <- c.Delete(t.Context(), changed) }()
	kubetest.Await(t, c, object, nil)
	if err := <-done; err != nil || looks < 2 {
		t.Errorf("deleted with %v after %d looks", err, looks)
	}
}
