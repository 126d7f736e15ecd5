package crd

import "embed"

//go:generate go tool -modfile=../../tools/go.mod controller-gen object paths=../../api/...
//go:generate go tool -modfile=../../tools/go.mod controller-gen crd paths=../../api/... output:crd:dir=.

// Files are the definitions, one YAML file for each kind.
//
//go:embed gitops*.yaml virtualization*.yaml
var Files embed.FS
