package controlplane

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"slipway.dev/slipway/local/controlplane/datadir"
	"slipway.dev/slipway/local/controlplane/pki"
)

// The identities that get a kubeconfig.
var (
	admin             = pki.Identity{Name: "slipway-admin", Groups: []string{"system:masters"}}
	controllerManager = pki.Identity{Name: "system:kube-controller-manager"}
)

// contextName is what the cluster is called in the kubeconfig.
const contextName = "slipway"

// writeKubeconfig issues a client certificate and writes a kubeconfig that
// holds all that a client needs, and refers to no other file.
func writeKubeconfig(path, server string, authority *pki.Authority, id pki.Identity) error {
	pair, err := authority.Client(id)
	if err != nil {
		return err
	}
	text, err := clientcmd.Write(kubeconfig(server, authority.Certificate(), id, pair))
	if err != nil {
		return fmt.Errorf("encode kubeconfig: %w", err)
	}
	return datadir.WriteFile(path, text, 0o600)
}

func kubeconfig(server string, authority []byte, id pki.Identity, pair pki.Pair) clientcmdapi.Config {
	config := *clientcmdapi.NewConfig()
	config.Clusters[contextName] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: authority}
	config.AuthInfos[id.Name] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.Certificate, ClientKeyData: pair.Key}
	config.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: id.Name}
	config.CurrentContext = contextName
	return config
}
