// Package rbac carries what Slipway needs of Kubernetes' access control: the
// ClusterRoles of the platform's six roles (User, PrivilegedUser, Editor, Admin,
// ClusterEditor and ClusterAdmin), and the identity of the controllers.
//
// In comes nothing; out goes the YAML that kubectl or `slipway up` applies. It
// never binds one of the six roles to anybody.
package rbac

import "embed"

// Files holds roles.yaml, the six ClusterRoles, and gitops.yaml, by which
// Kubernetes' own roles have the GitOps kinds.
//
//go:embed roles.yaml gitops.yaml
var Files embed.FS

// Controller holds controller.yaml: the controllers' ServiceAccount and what it
// may do. It lies in the namespace slipway-system.
//
//go:embed controller.yaml
var Controller embed.FS

// The controllers' identity.
const (
	ControllerNamespace = "slipway-system"
	ControllerAccount   = "slipway-controller"
)
