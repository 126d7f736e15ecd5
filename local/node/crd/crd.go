package crd

import "embed"

//go:generate go run ./internal/generate

// Files are the definitions, one YAML file for each kind.
//
//go:embed *.yaml
var Files embed.FS
