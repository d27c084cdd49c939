// The consumer-argocd program reads a cluster Secret as Argo CD does, and calls the cluster with the client
// that Argo CD would use.
//
// What is Argo CD's own: util/db, which makes a cluster of the Secret, finds clusters among the Secrets that
// carry its label, and writes them; Cluster.RESTConfig with the transport that it sets up; and the cluster
// generator of ApplicationSets.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/db"
	"github.com/argoproj/argo-cd/v3/util/settings"
	"github.com/go-logr/logr"
	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"doclusteraccess.dev/testbed/consumers/probe"
)

// requests are what to do beside reading the Secret.
type requests struct {
	selector        string
	invalidateCache bool
}

func main() {
	// Standard error is for one sentence.
	logrus.SetOutput(io.Discard)
	klog.SetLogger(logr.Discard())
	log.SetLogger(logr.Discard())

	var requests requests
	define := func(flags *flag.FlagSet) {
		flags.StringVar(&requests.selector, "selector", "",
			"label `selector` of an ApplicationSet: report what its cluster generator makes of it")
		flags.BoolVar(&requests.invalidateCache, "invalidate-cache", false,
			"write the Secret first, as Argo CD does when a user invalidates the cache of a cluster")
	}
	probe.Main("argocd", define, func(ctx context.Context, arguments probe.Arguments) (*probe.Target, error) {
		return connect(ctx, arguments, requests)
	})
}

func connect(ctx context.Context, arguments probe.Arguments, requests requests) (*probe.Target, error) {
	management, err := clientcmd.BuildConfigFromFlags("", arguments.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	clientset, err := kubernetes.NewForConfig(management)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	secret, err := clientset.CoreV1().Secrets(arguments.Namespace).Get(ctx, arguments.Secret, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot read the Secret: %w", err)
	}
	cluster, err := understand(secret)
	if err != nil {
		return nil, err
	}
	database := db.NewDB(arguments.Namespace, settings.NewSettingsManager(ctx, clientset, arguments.Namespace), clientset)
	if err := registered(ctx, database, cluster); err != nil {
		return nil, err
	}
	if requests.invalidateCache {
		if cluster, err = invalidateCache(ctx, database, cluster); err != nil {
			return nil, err
		}
	}
	details := describe(cluster)
	if requests.selector != "" {
		details["generated"], err = generate(ctx, management, clientset, arguments.Namespace, requests.selector)
		if err != nil {
			return nil, err
		}
	}
	return target(cluster, details)
}

func describe(cluster *v1alpha1.Cluster) map[string]any {
	details := map[string]any{
		"id":               cluster.ID,
		"name":             cluster.Name,
		"server":           cluster.Server,
		"project":          cluster.Project,
		"namespaces":       append([]string{}, cluster.Namespaces...),
		"clusterResources": cluster.ClusterResources,
		"insecure":         cluster.Config.Insecure,
		"labels":           cluster.Labels,
	}
	if cluster.Shard != nil {
		details["shard"] = *cluster.Shard
	}
	return details
}

func target(cluster *v1alpha1.Cluster, details map[string]any) (*probe.Target, error) {
	raw, err := cluster.RawRestConfig()
	if err != nil {
		return nil, errors.New("Argo CD makes no client configuration of the Secret")
	}
	// The credential is in the raw configuration alone: RESTConfig moves it into a transport.
	config, err := cluster.RESTConfig()
	if err != nil {
		return nil, errors.New("Argo CD makes no client of the Secret: its certificates or keys cannot be read")
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, errors.New("Argo CD makes no client of the Secret: its server is not a URL")
	}
	return &probe.Target{
		Server:            config.Host,
		BearerToken:       raw.BearerToken,
		ClientCertificate: raw.CertData,
		Review:            reviewWith(clientset),
		ListNamespaces:    listWith(clientset),
		Details:           details,
	}, nil
}
