// The consumer-clientgo program reads a Secret as those consumers do that need no more than client-go for it,
// and calls the cluster with the client that they would use. --as names the consumer: readers.go has them all.
package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"doclusteraccess.dev/testbed/consumers/probe"
)

// keys name what the flags say about the Secret.
type keys struct {
	kubeconfig string
	server     string
	serverURL  string
	authority  string
	// Whether the authority is in base64 once more, as Terraform providers want it.
	authorityBase64 bool
	token           string
	certificate     string
	privateKey      string
}

func main() {
	// Standard error is for one sentence.
	klog.SetLogger(logr.Discard())

	var as string
	var keys keys
	define := func(flags *flag.FlagSet) {
		flags.StringVar(&as, "as", "kubeconfig", "the `consumer`: "+strings.Join(names(), ", "))
		flags.StringVar(&keys.kubeconfig, "key", "", "`key` of the kubeconfig; absent: the consumer's default")
		flags.StringVar(&keys.serverURL, "server", "", "`URL` of the API server, where the Secret does not say it")
		flags.StringVar(&keys.server, "server-key", "server", "`key` of the API server's URL")
		flags.StringVar(&keys.authority, "certificate-authority-key", "ca.crt", "`key` of the certificate authority in PEM")
		flags.BoolVar(&keys.authorityBase64, "certificate-authority-base64", false, "whether that is in base64, as Terraform wants it")
		flags.StringVar(&keys.token, "token-key", "token", "`key` of the bearer token")
		flags.StringVar(&keys.certificate, "client-certificate-key", "client.crt", "`key` of the client certificate in PEM")
		flags.StringVar(&keys.privateKey, "client-key-key", "client.key", "`key` of the client certificate's key in PEM")
	}
	probe.Main("clientgo", define, func(ctx context.Context, arguments probe.Arguments) (*probe.Target, error) {
		return connect(ctx, arguments, as, keys)
	})
}

func connect(ctx context.Context, arguments probe.Arguments, as string, keys keys) (*probe.Target, error) {
	reader, known := readers[as]
	if !known {
		return nil, fmt.Errorf("--as: there is no consumer %q, but %s", as, strings.Join(names(), ", "))
	}
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
	config, err := reader(secret.Data, keys)
	if err != nil {
		return nil, err
	}
	// A refusal of certificates or keys may quote them.
	remote, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client-go makes no client of the Secret as %s reads it", as)
	}
	return &probe.Target{
		Server:            config.Host,
		BearerToken:       config.BearerToken,
		ClientCertificate: config.CertData,
		Review:            reviewWith(remote),
		ListNamespaces:    listWith(remote),
		Details:           map[string]any{"as": as, "type": secret.Type},
	}, nil
}
