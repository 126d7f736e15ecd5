package node

import "embed"

// Roles holds rbac.yaml: the ClusterRole RoleName, which the identity of the manager that runs the node needs.
//
//go:embed rbac.yaml
var Roles embed.FS

// RoleName is the ClusterRole in Roles.
const RoleName = "slipway:local-node"
