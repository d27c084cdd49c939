package main

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// reader makes a client's configuration of the data of a Secret. Its errors name keys, and quote no value.
type reader func(data map[string][]byte, keys keys) (*rest.Config, error)

var readers = map[string]reader{
	"kubeconfig": kubeconfig,
	"fields":     fields,
	"karmada":    karmada,
	"crossplane": crossplane,
	"fleet":      fleet,
	"sveltos":    sveltos,
}

func names() []string {
	return slices.Sorted(maps.Keys(readers))
}

// kubeconfig is kubectl, a CI job, or a controller: the file in one key, `kubeconfig` by default.
func kubeconfig(data map[string][]byte, keys keys) (*rest.Config, error) {
	return parse(data, cmp.Or(keys.kubeconfig, "kubeconfig"))
}

// fields is a controller of somebody's own, which takes the parts instead of a kubeconfig.
func fields(data map[string][]byte, keys keys) (*rest.Config, error) {
	config := &rest.Config{Host: keys.serverURL}
	if config.Host == "" {
		server, err := value(data, keys.server)
		if err != nil {
			return nil, err
		}
		config.Host = string(server)
	}
	authority, err := value(data, keys.authority)
	if err != nil {
		return nil, err
	}
	if config.CAData = authority; keys.authorityBase64 {
		config.CAData, err = base64.StdEncoding.DecodeString(string(authority))
		if err != nil {
			return nil, fmt.Errorf("what the Secret holds under %s is not base64", keys.authority)
		}
	}
	if token := data[keys.token]; len(token) > 0 {
		config.BearerToken = string(token)
		return config, nil
	}
	if config.CertData, err = value(data, keys.certificate); err != nil {
		return nil, fmt.Errorf("the Secret has no token: %w", err)
	}
	if config.KeyData, err = value(data, keys.privateKey); err != nil {
		return nil, fmt.Errorf("the Secret has no token: %w", err)
	}
	return config, nil
}

// karmada is Karmada's control plane with a member cluster in push mode: the Secret of Cluster.spec.secretRef,
// and Cluster.spec.apiEndpoint, here --server. The rule is BuildClusterConfig in pkg/util/membercluster_client.go
// of github.com/karmada-io/karmada, its keys are in pkg/apis/cluster/v1alpha1/types.go.
func karmada(data map[string][]byte, keys keys) (*rest.Config, error) {
	if keys.serverURL == "" {
		return nil, errors.New("--server is missing: Karmada has it in Cluster.spec.apiEndpoint, not in the Secret")
	}
	token, err := value(data, "token")
	if err != nil {
		return nil, err
	}
	authority, present := data["caBundle"]
	if !present {
		return nil, errors.New("the Secret has no key caBundle")
	}
	return &rest.Config{
		Host:            keys.serverURL,
		BearerToken:     string(token),
		TLSClientConfig: rest.TLSClientConfig{CAData: authority},
	}, nil
}

// crossplane is a ProviderConfig of provider-kubernetes or provider-helm with credentials from a Secret; its
// secretRef always names the key. It takes the current context, and of it only what is inline. The rule is
// fromAPIConfig in pkg/kube/client/client.go of github.com/crossplane-contrib/provider-kubernetes.
func crossplane(data map[string][]byte, keys keys) (*rest.Config, error) {
	if keys.kubeconfig == "" {
		return nil, errors.New("--key is missing: a ProviderConfig names the key of its Secret")
	}
	document, err := value(data, keys.kubeconfig)
	if err != nil {
		return nil, err
	}
	loaded, err := clientcmd.Load(document)
	if err != nil {
		return nil, notKubeconfig(keys.kubeconfig)
	}
	context := loaded.Contexts[loaded.CurrentContext]
	if context == nil {
		return nil, errors.New("the kubeconfig has no current context")
	}
	cluster, user := loaded.Clusters[context.Cluster], loaded.AuthInfos[context.AuthInfo]
	if cluster == nil || user == nil {
		return nil, errors.New("the current context of the kubeconfig lacks its cluster or user")
	}
	return &rest.Config{
		Host:        cluster.Server,
		Username:    user.Username,
		Password:    user.Password,
		BearerToken: user.Token,
		TLSClientConfig: rest.TLSClientConfig{
			Insecure:   cluster.InsecureSkipTLSVerify,
			ServerName: cluster.TLSServerName,
			CertData:   user.ClientCertificateData,
			KeyData:    user.ClientKeyData,
			CAData:     cluster.CertificateAuthorityData,
		},
	}, nil
}

// fleet is Fleet importing a cluster with Cluster.spec.kubeConfigSecret: key `value`. The rule is importCluster in
// internal/cmd/controller/agentmanagement/controllers/cluster/import.go of github.com/rancher/fleet, the key is
// KubeConfigSecretValueKey in internal/config. (Keys apiServerURL and apiServerCA beside it are about Fleet's
// own API server, and have a default in Fleet's configuration.)
func fleet(data map[string][]byte, _ keys) (*rest.Config, error) {
	return parse(data, "value")
}

// sveltos is a SveltosCluster: key spec.kubeconfigKeyName, and without that whichever key it comes across first, so
// that there had better be one. The rule is getSecretData in lib/clusterproxy/clusterproxy.go of
// github.com/projectsveltos/libsveltos.
func sveltos(data map[string][]byte, keys keys) (*rest.Config, error) {
	if keys.kubeconfig != "" {
		return parse(data, keys.kubeconfig)
	}
	if len(data) > 1 {
		return nil, fmt.Errorf("the Secret has %d keys: without spec.kubeconfigKeyName Sveltos takes any of them", len(data))
	}
	for key := range data {
		return parse(data, key)
	}
	return nil, errors.New("the Secret has no keys")
}

func parse(data map[string][]byte, key string) (*rest.Config, error) {
	document, err := value(data, key)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(document)
	if err != nil {
		return nil, notKubeconfig(key)
	}
	return config, nil
}

func value(data map[string][]byte, key string) ([]byte, error) {
	if len(data[key]) == 0 {
		return nil, fmt.Errorf("the Secret has no key %s, or nothing in it", key)
	}
	return data[key], nil
}

// notKubeconfig leaves out what the parser says: it quotes what it cannot read.
func notKubeconfig(key string) error {
	return fmt.Errorf("what the Secret holds under %s is not a kubeconfig", key)
}
