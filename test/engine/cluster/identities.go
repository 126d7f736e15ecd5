package cluster

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"slipway.dev/slipway/local/controlplane/pki"
	"slipway.dev/slipway/test/engine/network"
)

// Where a node keeps its certificates and client configurations, inside.
const (
	pkiDir    = "/etc/kubernetes/pki"
	configDir = "/etc/kubernetes"
)

// Those who get a client configuration, by the name of its file.
func clients(node string) map[string]pki.Identity {
	return map[string]pki.Identity{
		"admin":              {Name: "engine-admin", Groups: []string{"system:masters"}},
		"controller-manager": {Name: "system:kube-controller-manager"},
		"scheduler":          {Name: "system:kube-scheduler"},
		"proxy":              {Name: "system:kube-proxy"},
		"kubelet":            {Name: "system:node:" + node, Groups: []string{"system:nodes"}},
	}
}

// apiClient is who the API server is to kubelets.
var apiClient = pki.Identity{Name: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}}

// identities makes the control plane's authority, in the first node's root.
func (l Layout) identities(plan network.Plan) (*pki.Authority, error) {
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + network.Domain}
	first := plan.Nodes[0]
	addresses := []net.IP{net.IPv4(127, 0, 0, 1), first.Address.AsSlice(), plan.API.AsSlice()}
	store, err := pki.OpenStore(filepath.Join(l.Root(first.Name), pkiDir), names, addresses, time.Now)
	if err != nil {
		return nil, fmt.Errorf("make certificates of the control plane: %w", err)
	}
	return store.Authority(), nil
}

// enroll gives a node its certificates and the client configurations of what runs there.
func (l Layout) enroll(plan network.Plan, node network.Node, authority *pki.Authority) error {
	root := l.Root(node.Name)
	server, err := authority.Server([]string{node.Name}, []net.IP{node.Address.AsSlice()})
	if err != nil {
		return fmt.Errorf("make kubelet's certificate: %w", err)
	}
	client, err := authority.Client(apiClient)
	if err != nil {
		return fmt.Errorf("make the API server's client certificate: %w", err)
	}
	files := map[string][]byte{
		"ca.crt":      authority.Certificate(),
		"kubelet.crt": server.Certificate, "kubelet.key": server.Key,
		"kubelet-client.crt": client.Certificate, "kubelet-client.key": client.Key,
	}
	for name, content := range files {
		if err := write(filepath.Join(root, pkiDir, name), content, 0o600); err != nil {
			return err
		}
	}
	for name, identity := range clients(node.Name) {
		path := filepath.Join(root, configDir, name+".kubeconfig")
		if err := writeKubeconfig(path, plan.Server(), authority, identity); err != nil {
			return err
		}
	}
	return nil
}

// writeKubeconfig makes a client configuration that refers to no other file.
func writeKubeconfig(path, server string, authority *pki.Authority, identity pki.Identity) error {
	pair, err := authority.Client(identity)
	if err != nil {
		return fmt.Errorf("make client certificate: %w", err)
	}
	const name = "engine"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: authority.Certificate()}
	config.AuthInfos[identity.Name] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.Certificate, ClientKeyData: pair.Key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: identity.Name}
	config.CurrentContext = name
	text, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("encode client configuration of %s: %w", identity.Name, err)
	}
	return write(path, text, 0o600)
}

func write(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
