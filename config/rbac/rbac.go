// Package rbac carries the ClusterRoles of the platform's six roles: User,
// PrivilegedUser, Editor, Admin, ClusterEditor and ClusterAdmin.
//
// In comes nothing; out goes the YAML that kubectl or `slipway up` applies. It
// never binds a role to anybody.
package rbac

import "embed"

// Files holds roles.yaml, the six ClusterRoles.
//
//go:embed roles.yaml
var Files embed.FS
