package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"slipway.dev/slipway/test/engine/apply"
	"slipway.dev/slipway/test/engine/network"
)

// The name server's Deployment.
const (
	dnsNamespace = "kube-system"
	dnsName      = "coredns"
)

// installDNS applies the name server.
func (r *run) installDNS(ctx context.Context) error {
	text, err := fill("coredns.yaml", view{Plan: r.plan, Domain: network.Domain})
	if err != nil {
		return err
	}
	objects, err := decode(string(text))
	if err != nil {
		return fmt.Errorf("read the name server's objects: %w", err)
	}
	config, err := r.layout.RESTConfig()
	if err != nil {
		return err
	}
	applier, err := apply.New(config)
	if err != nil {
		return fmt.Errorf("apply the name server: %w", err)
	}
	return applier.Apply(ctx, apply.Stage{Name: dnsName, Objects: objects})
}

func decode(text string) ([]*unstructured.Unstructured, error) {
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decode object %d: %w", len(objects), err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}
