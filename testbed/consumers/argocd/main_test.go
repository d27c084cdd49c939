package main

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const token = "hunter2"

func secretWith(data map[string]string) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			UID:    "1",
			Labels: map[string]string{"argocd.argoproj.io/secret-type": "cluster", "doclusteraccess.dev/region": "nyc1"},
		},
		Data: map[string][]byte{},
	}
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}
	return secret
}

func TestEveryOptionOfAClusterSecretIsUnderstood(t *testing.T) {
	cluster, err := understand(secretWith(map[string]string{
		"name": "prod", "server": "https://127.0.0.1:6443", "project": "shop", "namespaces": "a, b",
		"clusterResources": "true", "shard": "2", "config": `{"tlsClientConfig":{"insecure":false}}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	expected := map[string]any{
		"id": "1", "name": "prod", "server": "https://127.0.0.1:6443", "project": "shop", "namespaces": []string{"a", "b"},
		"clusterResources": true, "shard": int64(2), "insecure": false,
		"labels": map[string]string{"doclusteraccess.dev/region": "nyc1"},
	}
	if details := describe(cluster); !reflect.DeepEqual(details, expected) {
		t.Errorf("%#v", details)
	}
}

func TestTheTokenIsReportedAlthoughTheClientHasItInItsTransport(t *testing.T) {
	cluster, err := understand(secretWith(map[string]string{
		"server": "https://127.0.0.1:6443", "config": `{"bearerToken":"` + token + `","tlsClientConfig":{"insecure":false}}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	target, err := target(cluster, nil)
	if err != nil {
		t.Fatal(err)
	}
	if target.BearerToken != token || target.Server != "https://127.0.0.1:6443" {
		t.Errorf("%q %q", target.BearerToken, target.Server)
	}
}

func TestASecretThatArgoCDCannotUseIsRefusedWithoutQuotingIt(t *testing.T) {
	cases := map[string]map[string]string{
		"config is not JSON":        {"server": "https://127.0.0.1", "config": token},
		"config is of another type": {"server": "https://127.0.0.1", "config": `{"tlsClientConfig":"` + token + `"}`},
		"there is no server":        {"config": `{"bearerToken":"` + token + `"}`},
		"the authority is not PEM":  {"server": "https://127.0.0.1", "config": `{"tlsClientConfig":{"caData":"aHVudGVyMg=="}}`},
	}
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			cluster, err := understand(secretWith(data))
			if err == nil {
				_, err = target(cluster, nil)
			}
			if err == nil {
				t.Fatal("it is accepted")
			}
			if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "aHVudGVyMg") {
				t.Error(err)
			}
		})
	}
}
