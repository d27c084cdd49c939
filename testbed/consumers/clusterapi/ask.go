package main

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"doclusteraccess.dev/testbed/consumers/probe"
)

func reviewWith(remote client.Client) func(context.Context) (probe.Identity, error) {
	return func(ctx context.Context) (probe.Identity, error) {
		var review authenticationv1.SelfSubjectReview
		if err := remote.Create(ctx, &review); err != nil {
			return probe.Identity{}, err
		}
		user := review.Status.UserInfo
		return probe.Identity{Username: user.Username, Groups: user.Groups}, nil
	}
}

func listWith(remote client.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		return remote.List(ctx, &corev1.NamespaceList{}, client.Limit(1))
	}
}
