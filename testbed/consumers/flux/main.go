// The consumer-flux program reads a kubeconfig Secret as a Kustomization with spec.kubeConfig.secretRef does,
// and calls the cluster with the client that it would use.
//
// What is Flux's own: the Impersonator, which kustomize-controller makes its client with; it reads the Secret,
// picks the key, and leaves out what a kubeconfig may not do (commands, files). helm-controller has the same
// rule for the key, in internal/kube/config.go. Whether a change of the Secret makes Flux reconcile at once is
// answered by the predicate of Flux's controllers, with the default of --watch-configs-label-selector.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	fluxclient "github.com/fluxcd/pkg/runtime/client"
	"github.com/fluxcd/pkg/runtime/controller"
	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"doclusteraccess.dev/testbed/consumers/probe"
)

func main() {
	// Standard error is for one sentence.
	klog.SetLogger(logr.Discard())
	log.SetLogger(logr.Discard())

	var key string
	define := func(flags *flag.FlagSet) {
		flags.StringVar(&key, "key", "", "spec.kubeConfig.secretRef.`key`; absent: Flux looks for value, then value.yaml")
	}
	probe.Main("flux", define, func(ctx context.Context, arguments probe.Arguments) (*probe.Target, error) {
		return connect(ctx, arguments, key)
	})
}

func connect(ctx context.Context, arguments probe.Arguments, key string) (*probe.Target, error) {
	management, err := clientcmd.BuildConfigFromFlags("", arguments.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	reader, err := client.New(management, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	return impersonate(ctx, &witness{Client: reader}, arguments, key)
}

// impersonate makes the client that a Kustomization in the namespace would use.
func impersonate(ctx context.Context, management *witness, arguments probe.Arguments, key string) (*probe.Target, error) {
	reference := &meta.KubeConfigReference{
		SecretRef: &meta.SecretKeyReference{Name: arguments.Secret, Key: key},
	}
	var options fluxclient.KubeConfigOptions
	impersonator := fluxclient.NewImpersonator(management,
		fluxclient.WithScheme(scheme.Scheme),
		fluxclient.WithKubeConfig(reference, options, arguments.Namespace, nil))
	remote, _, err := impersonator.GetClient(ctx)
	if err != nil {
		return nil, refusal(err)
	}
	config, err := management.config(ctx, key, options)
	if err != nil {
		return nil, err
	}
	watched, err := watches(management.secret)
	if err != nil {
		return nil, err
	}
	return &probe.Target{
		Server:            config.Host,
		BearerToken:       config.BearerToken,
		ClientCertificate: config.CertData,
		Review:            reviewWith(remote),
		ListNamespaces:    listWith(remote),
		Details: map[string]any{
			"type":    management.secret.Type,
			"watched": watched,
		},
	}, nil
}

// refusal says why there is no client: in the words of the API server or of Flux where they cannot quote the
// Secret, else in ours.
func refusal(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) || strings.HasPrefix(err.Error(), "KubeConfig secret ") {
		return err
	}
	return errors.New("Flux makes no client of the Secret: what it holds is not a kubeconfig that Flux can use")
}

// watches is whether a change of the Secret makes Flux reconcile at once what refers to it.
func watches(secret *corev1.Secret) (bool, error) {
	var options controller.WatchOptions
	options.BindFlags(pflag.NewFlagSet("controller", pflag.ContinueOnError))
	predicate, err := controller.GetWatchConfigsPredicate(options)
	if err != nil {
		return false, fmt.Errorf("Flux cannot parse its own default: %w", err)
	}
	return predicate.Update(event.UpdateEvent{ObjectOld: secret, ObjectNew: secret}), nil
}

// witness passes everything on, and remembers the Secret that it passed on: the Impersonator hands out a client
// and not the configuration that is in it.
type witness struct {
	client.Client
	secret *corev1.Secret
}

// Get implements client.Reader.
func (w *witness) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if err := w.Client.Get(ctx, key, object, options...); err != nil {
		return err
	}
	if secret, isSecret := object.(*corev1.Secret); isSecret {
		w.secret = secret
	}
	return nil
}

// config is the configuration that the Impersonator made of the Secret that it read, by the same rules.
func (w *witness) config(ctx context.Context, key string, options fluxclient.KubeConfigOptions) (*rest.Config, error) {
	for _, candidate := range []string{key, "value", "value.yaml"} {
		kubeconfig := w.secret.Data[candidate]
		if kubeconfig == nil {
			continue
		}
		config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
		if err != nil {
			return nil, errors.New("the Secret does not hold a kubeconfig")
		}
		return fluxclient.KubeConfig(ctx, config, options), nil
	}
	return nil, errors.New("the Secret does not hold the key that Flux read")
}
