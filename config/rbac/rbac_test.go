package rbac_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/config/rbac"
)

// matrix is the role model: C create, R get list watch, U update patch, D delete
// deletecollection. Columns are the roles from the least to the most powerful.
var matrix = map[string][6]string{
	"virtualmachines":                      {"R", "R", "CRUD", "CRUD", "CRUD", "CRUD"},
	"virtualmachinesnapshots":              {"R", "R", "CRUD", "CRUD", "CRUD", "CRUD"},
	"virtualmachinerestores":               {"R", "R", "CRUD", "CRUD", "CRUD", "CRUD"},
	"virtualdisks":                         {"R", "R", "CRUD", "CRUD", "CRUD", "CRUD"},
	"virtualdisksnapshots":                 {"R", "R", "CRUD", "CRUD", "CRUD", "CRUD"},
	"virtualimages":                        {"R", "R", "R", "CRUD", "CRUD", "CRUD"},
	"clustervirtualimages":                 {"R", "R", "R", "R", "CRUD", "CRUD"},
	"virtualmachineblockdeviceattachments": {"R", "R", "CRUD", "CRUD", "CRUD", "CRUD"},
	"virtualmachineoperations":             {"R", "CR", "CRUD", "CRUD", "CRUD", "CRUD"},
	"virtualmachineipaddresses":            {"R", "R", "CRUD", "CRUD", "CRUD", "CRUD"},
	"virtualmachineipaddressleases":        {"", "", "", "R", "R", "CRUD"},
	"virtualmachineclasses":                {"R", "R", "R", "R", "CRUD", "CRUD"},
	"virtualmachines/console":              {"", "CRU", "CRU", "CRU", "CRU", "CRU"},
	"virtualmachines/portforward":          {"", "CRU", "CRU", "CRU", "CRU", "CRU"},
	"virtualmachines/vnc":                  {"", "CRU", "CRU", "CRU", "CRU", "CRU"},
}

var roles = [6]string{"slipway:user", "slipway:privileged-user", "slipway:editor", "slipway:admin", "slipway:cluster-editor", "slipway:cluster-admin"}

func TestRolesGrantTheMatrix(t *testing.T) {
	granted := readRoles(t)
	got := map[string][6]string{}
	for i, role := range roles {
		for resource, verbs := range granted[role] {
			row := got[resource]
			row[i] = letters(verbs)
			got[resource] = row
		}
	}
	if diff := cmp.Diff(matrix, got); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
}

func readRoles(t *testing.T) map[string]map[string][]string {
	t.Helper()
	file, err := rbac.Files.ReadFile("roles.yaml")
	if err != nil {
		t.Fatal(err)
	}
	granted := map[string]map[string][]string{}
	for _, doc := range bytes.Split(file, []byte("\n---\n")) {
		var role rbacv1.ClusterRole
		if err := yaml.UnmarshalStrict(doc, &role); err != nil {
			t.Fatal(err)
		}
		granted[role.Name] = map[string][]string{}
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				granted[role.Name][resource] = append(granted[role.Name][resource], rule.Verbs...)
			}
		}
	}
	return granted
}

func letters(verbs []string) string {
	var out string
	for _, l := range []struct{ letter, verb string }{{"C", "create"}, {"R", "get"}, {"U", "update"}, {"D", "delete"}} {
		if slices.Contains(verbs, l.verb) {
			out += l.letter
		}
	}
	return out
}
