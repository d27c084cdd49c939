package main

import (
	"errors"
	"strings"
	"testing"

	"doclusteraccess.dev/testbed/consumers/probe"
)

func TestTheNameOfTheSecretNamesTheCluster(t *testing.T) {
	cases := map[string]string{
		"prod-kubeconfig":       "prod",
		"prod-nyc-1-kubeconfig": "prod-nyc-1",
		"prod-ca":               "",
		"prod":                  "",
		"prod-config":           "",
	}
	for secret, expected := range cases {
		cluster, err := clusterOf(probe.Arguments{Namespace: "team", Secret: secret})
		if cluster.Name != expected || (err == nil) != (expected != "") {
			t.Errorf("%s: %q, %v", secret, cluster.Name, err)
		}
	}
}

func TestWhatTheParserOfKubeconfigsQuotesStaysOutOfTheRefusal(t *testing.T) {
	err := refusal(errors.New("failed to create REST configuration for Cluster team/prod: yaml: hunter2"))
	if strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
	missing := errors.New(`failed to retrieve kubeconfig secret for Cluster team/prod: missing key "value" in secret data`)
	if err := refusal(missing); !strings.Contains(err.Error(), `missing key "value"`) {
		t.Error(err)
	}
}
