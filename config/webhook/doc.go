// Package webhook holds what a cluster's API server must be told of Slipway's webhooks, as YAML for kustomize.
//
// In come package admission's configurations for a Service; out go configurations.yaml, and conversion.yaml for the definition of classes. The
// authority's certificate is left out: the controller adds it when it runs.
package webhook

//go:generate go run ./internal/generate .
