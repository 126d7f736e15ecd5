package environment

import (
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/plan"
)

// memory keeps what spares work between runs. All of it can be lost: the next
// run reads and renders again.
type memory struct {
	mu sync.Mutex
	// wrote holds objects as the API server returned them from our own writes,
	// until an informer has caught up.
	wrote map[plan.Key]*unstructured.Unstructured
	// environments hold what each Environment's last run found.
	environments map[types.NamespacedName]*findings
	// wanted holds the objects that each Environment's last revision has.
	wanted map[types.NamespacedName]rendered
}

// findings of the last run of one Environment.
type findings struct {
	// renderKey names the inputs of desired, or of the refusal to render them.
	renderKey string
	desired   rendered
	refusal   *Refusal
	// settledKey names inputs and live versions for which the plan was empty.
	settledKey string
	settled    plan.Plan
	// expressions of the spec.
	expressions *expressions
}

func newMemory() *memory {
	return &memory{
		wrote:        map[plan.Key]*unstructured.Unstructured{},
		environments: map[types.NamespacedName]*findings{},
		wanted:       map[types.NamespacedName]rendered{},
	}
}

// written is the object as our last write left it, nil when an informer has
// caught up since.
func (m *memory) written(key plan.Key) *unstructured.Unstructured {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wrote[key]
}

func (m *memory) write(u *unstructured.Unstructured) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrote[plan.KeyOf(u)] = u
}

// observed forgets a write that an informer has caught up with.
func (m *memory) observed(u *unstructured.Unstructured) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if written := m.wrote[plan.KeyOf(u)]; written != nil && !newer(written, u) {
		delete(m.wrote, plan.KeyOf(u))
	}
}

// gone forgets an object that was deleted.
func (m *memory) gone(key plan.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.wrote, key)
}

// recall returns the findings of an Environment's last run. Runs of one
// Environment never overlap, so that they need no lock of their own.
func (m *memory) recall(env types.NamespacedName) *findings {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.environments[env]
	if f == nil {
		f = &findings{}
		m.environments[env] = f
	}
	return f
}

func (m *memory) forget(env types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.environments, env)
	delete(m.wanted, env)
}

// want remembers what an Environment's revision has.
func (m *memory) want(env types.NamespacedName, desired rendered) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted[env] = desired
}

// wanting lists the Environments whose last revision has an object.
func (m *memory) wanting(key plan.Key) []types.NamespacedName {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []types.NamespacedName
	for name, desired := range m.wanted {
		if _, wanted := desired.origins[key]; wanted {
			found = append(found, name)
		}
	}
	return found
}
