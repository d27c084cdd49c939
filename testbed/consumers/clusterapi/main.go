// The consumer-clusterapi program reads the kubeconfig Secret of a Cluster as Cluster API does, and calls the
// cluster with the client that it would use.
//
// What is Cluster API's own: the cache that its managers read such Secrets from (core/setup), which holds no
// Secret without the label cluster.x-k8s.io/cluster-name; the name and the key of the Secret (util/secret,
// util/kubeconfig); and the client's configuration (controllers/remote).
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/remote"
	"sigs.k8s.io/cluster-api/core/setup"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"doclusteraccess.dev/testbed/consumers/probe"
)

const name = "consumer-clusterapi"

func main() {
	// Standard error is for one sentence.
	klog.SetLogger(logr.Discard())
	log.SetLogger(logr.Discard())
	probe.Main("clusterapi", nil, connect)
}

func connect(ctx context.Context, arguments probe.Arguments) (*probe.Target, error) {
	cluster, err := clusterOf(arguments)
	if err != nil {
		return nil, err
	}
	management, err := clientcmd.BuildConfigFromFlags("", arguments.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	live, err := client.New(management, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	// What the cache does not have is either not there or not labelled: this tells which.
	var found corev1.Secret
	if err := live.Get(ctx, client.ObjectKey{Namespace: arguments.Namespace, Name: arguments.Secret}, &found); err != nil {
		return nil, fmt.Errorf("cannot read the Secret: %w", err)
	}
	cached, err := secretCache(ctx, management, arguments.Namespace)
	if err != nil {
		return nil, err
	}
	config, err := remote.RESTConfig(ctx, name, cached, cluster)
	if err != nil {
		return nil, refusal(err)
	}
	workload, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, errors.New("Cluster API makes no client of the kubeconfig in the Secret")
	}
	return &probe.Target{
		Server:            config.Host,
		BearerToken:       config.BearerToken,
		ClientCertificate: config.CertData,
		Review:            reviewWith(workload),
		ListNamespaces:    listWith(workload),
		Details: map[string]any{
			"cluster":          cluster.Name,
			"type":             found.Type,
			"clusterNameLabel": found.Labels[clusterv1.ClusterNameLabel],
		},
	}, nil
}

// clusterOf is the Cluster whose kubeconfig Cluster API expects in a Secret of that name.
func clusterOf(arguments probe.Arguments) (client.ObjectKey, error) {
	cluster, purpose, err := secret.ParseSecretName(arguments.Secret)
	if err != nil {
		return client.ObjectKey{}, fmt.Errorf("--secret: %w", err)
	}
	if purpose != secret.Kubeconfig {
		return client.ObjectKey{}, fmt.Errorf("--secret: Cluster API does not look for a kubeconfig in %q", arguments.Secret)
	}
	return client.ObjectKey{Namespace: arguments.Namespace, Name: cluster}, nil
}

// secretCache is what the managers of Cluster API read kubeconfig Secrets from.
func secretCache(ctx context.Context, management *rest.Config, namespace string) (client.Reader, error) {
	options := setup.ManagerCacheOptions(scheme.Scheme, name, namespace, 10*time.Minute)
	options.Scheme = scheme.Scheme
	secrets, err := cache.New(management, options)
	if err != nil {
		return nil, fmt.Errorf("Cluster API makes no cache: %w", err)
	}
	ctx, fail := context.WithCancelCause(ctx)
	go func() {
		if err := secrets.Start(ctx); err != nil {
			fail(err)
		}
	}()
	if !secrets.WaitForCacheSync(ctx) {
		return nil, fmt.Errorf("Cluster API's cache does not start: %w", context.Cause(ctx))
	}
	return secrets, nil
}

// refusal says why there is no configuration, without what the Secret holds.
func refusal(err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("Cluster API's cache does not hold the Secret: it has no label %s", clusterv1.ClusterNameLabel)
	}
	if strings.HasPrefix(err.Error(), "failed to retrieve kubeconfig secret") {
		return err
	}
	return errors.New("Cluster API cannot use the Secret: what it holds is not a kubeconfig")
}
