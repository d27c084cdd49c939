package main

import (
	"context"
	"fmt"

	"github.com/argoproj/argo-cd/v3/applicationset/generators"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// generated is what a template of an ApplicationSet is filled in with.
type generated struct {
	Name           any `json:"name"`
	NameNormalized any `json:"nameNormalized"`
	Server         any `json:"server"`
	Project        any `json:"project"`
}

// generate is what an ApplicationSet in the namespace makes of its clusters that match the selector.
func generate(ctx context.Context, management *rest.Config, clientset kubernetes.Interface, namespace, selector string) ([]generated, error) {
	labels, err := metav1.ParseToLabelSelector(selector)
	if err != nil {
		return nil, fmt.Errorf("--selector: %w", err)
	}
	everywhere, err := client.New(management, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig: %w", err)
	}
	// The generator leaves it to the manager's cache to hold nothing but Argo CD's own namespace.
	here := client.NewNamespacedClient(everywhere, namespace)
	generator := generators.NewClusterGenerator(ctx, here, clientset, namespace)
	clusters := &v1alpha1.ApplicationSetGenerator{Clusters: &v1alpha1.ClusterGenerator{Selector: *labels}}
	applicationSet := &v1alpha1.ApplicationSet{
		ObjectMeta: metav1.ObjectMeta{Name: "consumer", Namespace: namespace},
		Spec:       v1alpha1.ApplicationSetSpec{GoTemplate: true},
	}
	parameters, err := generator.GenerateParams(clusters, applicationSet, here)
	if err != nil {
		return nil, fmt.Errorf("the cluster generator fails: %w", unquoted(err))
	}
	all := make([]generated, 0, len(parameters))
	for _, of := range parameters {
		all = append(all, generated{of["name"], of["nameNormalized"], of["server"], of["project"]})
	}
	return all, nil
}
