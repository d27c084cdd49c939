// Package kubeconfig writes the kubeconfig files of a control plane.
package kubeconfig

import (
	"os"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"doclusteraccess.dev/testbed/controlplane/internal/pki"
)

// WriteClient writes a kubeconfig for server that holds everything inline, so that the file can be
// copied anywhere. Its context is in namespace default.
func WriteClient(path, server, authority, user string, credential pki.Pair) error {
	var contents [3][]byte
	for i, name := range []string{authority, credential.Certificate, credential.Key} {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		contents[i] = content
	}
	config := single("controlplane", user)
	config.Clusters["controlplane"] = &api.Cluster{Server: server, CertificateAuthorityData: contents[0]}
	config.AuthInfos[user] = &api.AuthInfo{ClientCertificateData: contents[1], ClientKeyData: contents[2]}
	return clientcmd.WriteToFile(*config, path)
}

// WriteWebhook writes the kubeconfig with which the API server finds its token webhook at url.
func WriteWebhook(path, url string) error {
	config := single("token-webhook", "kube-apiserver")
	config.Clusters["token-webhook"] = &api.Cluster{Server: url}
	config.AuthInfos["kube-apiserver"] = &api.AuthInfo{}
	return clientcmd.WriteToFile(*config, path)
}

func single(cluster, user string) *api.Config {
	config := api.NewConfig()
	config.Contexts[cluster] = &api.Context{Cluster: cluster, AuthInfo: user}
	config.CurrentContext = cluster
	return config
}
