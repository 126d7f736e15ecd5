package environment

import (
	"fmt"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Clients make a client that acts as a ServiceAccount.
type Clients interface {
	As(account types.NamespacedName) (client.Client, error)
}

// Impersonation makes clients that act as ServiceAccounts by impersonating them.
// The identity in its configuration needs the right to impersonate
// ServiceAccounts and nobody else: the API server adds the groups that every
// ServiceAccount is in. The rights to read and write objects are the account's.
type Impersonation struct {
	config  *rest.Config
	scheme  *runtime.Scheme
	mapper  meta.RESTMapper
	mu      sync.Mutex
	clients map[types.NamespacedName]client.Client
}

// NewImpersonation shares the mapper among all clients, so that a new one costs
// no discovery.
func NewImpersonation(config *rest.Config, scheme *runtime.Scheme, mapper meta.RESTMapper) *Impersonation {
	return &Impersonation{config: config, scheme: scheme, mapper: mapper, clients: map[types.NamespacedName]client.Client{}}
}

// As returns the client of an account.
func (i *Impersonation) As(account types.NamespacedName) (client.Client, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if c, ok := i.clients[account]; ok {
		return c, nil
	}
	httpClient, config, err := i.transport(account)
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(config, client.Options{HTTPClient: httpClient, Scheme: i.scheme, Mapper: i.mapper})
	if err != nil {
		return nil, fmt.Errorf("make a client for ServiceAccount %s: %w", account, err)
	}
	i.clients[account] = c
	return c, nil
}

func (i *Impersonation) transport(account types.NamespacedName) (*http.Client, *rest.Config, error) {
	config := rest.CopyConfig(i.config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + account.Namespace + ":" + account.Name,
	}
	config.QPS = -1 // the API server's own fairness is the limit
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("connect as ServiceAccount %s: %w", account, err)
	}
	return httpClient, config, nil
}
