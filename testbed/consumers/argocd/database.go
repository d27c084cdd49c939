package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/db"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// understand is what Argo CD makes of a Secret. The reason why it makes nothing of it may quote the Secret,
// and stays out of the error.
func understand(secret *corev1.Secret) (*v1alpha1.Cluster, error) {
	cluster, err := db.SecretToCluster(secret)
	if err != nil {
		return nil, errors.New("Argo CD cannot read the Secret: its key config does not hold the JSON of a cluster")
	}
	if cluster.Server == "" {
		return nil, errors.New("Argo CD cannot use the Secret: it has no key server")
	}
	return cluster, nil
}

// registered fails unless Argo CD, searching by server, finds the cluster in this very Secret: what it knows
// of are the Secrets of its namespace with the label argocd.argoproj.io/secret-type=cluster.
func registered(ctx context.Context, database db.ArgoDB, cluster *v1alpha1.Cluster) error {
	found, err := database.GetCluster(ctx, cluster.Server)
	switch {
	case status.Code(err) == codes.NotFound:
		return fmt.Errorf("Argo CD does not know the cluster %s: the Secret has no label %s=%s",
			cluster.Server, common.LabelKeySecretType, common.LabelValueSecretTypeCluster)
	case err != nil:
		return fmt.Errorf("Argo CD cannot look the cluster %s up: %w", cluster.Server, unquoted(err))
	}
	if found.ID != cluster.ID {
		return fmt.Errorf("Argo CD takes the cluster %s from another Secret, of UID %s", cluster.Server, found.ID)
	}
	return nil
}

// invalidateCache is what Argo CD's server does when a user asks for that (InvalidateCache in
// server/cluster/cluster.go): it writes all of the Secret anew, with the time of the request in an annotation.
func invalidateCache(ctx context.Context, database db.ArgoDB, cluster *v1alpha1.Cluster) (*v1alpha1.Cluster, error) {
	now := metav1.Now()
	cluster.RefreshRequestedAt = &now
	written, err := database.UpdateCluster(ctx, cluster)
	if err != nil {
		return nil, fmt.Errorf("Argo CD cannot write the Secret: %w", unquoted(err))
	}
	return written, nil
}

// unquoted leaves out of an error what Argo CD says about a cluster Secret that it cannot read, unless that is
// what the API server said.
func unquoted(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return err
	}
	return errors.New("there is a cluster Secret that it cannot read")
}
