package main

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"doclusteraccess.dev/testbed/consumers/probe"
)

func reviewWith(clientset kubernetes.Interface) func(context.Context) (probe.Identity, error) {
	return func(ctx context.Context) (probe.Identity, error) {
		reviews := clientset.AuthenticationV1().SelfSubjectReviews()
		review, err := reviews.Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err != nil {
			return probe.Identity{}, err
		}
		user := review.Status.UserInfo
		return probe.Identity{Username: user.Username, Groups: user.Groups}, nil
	}
}

func listWith(clientset kubernetes.Interface) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := clientset.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: 1})
		return err
	}
}
