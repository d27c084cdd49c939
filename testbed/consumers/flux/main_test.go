package main

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"doclusteraccess.dev/testbed/consumers/probe"
)

// store is a management API server with one Secret.
type store struct {
	client.Client
	data map[string]string
}

func (s store) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	secret := object.(*corev1.Secret)
	secret.Data = map[string][]byte{}
	for key, value := range s.data {
		secret.Data[key] = []byte(value)
	}
	return nil
}

// kubeconfig leads to a port where nobody listens: a client is made without asking it.
func kubeconfig(token string) string {
	return `{"apiVersion":"v1","kind":"Config","current-context":"c",` +
		`"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],` +
		`"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1"}}],` +
		`"users":[{"name":"u","user":{"token":"` + token + `"}}]}`
}

func TestTheKubeconfigIsFoundUnderTheKeysThatFluxLooksFor(t *testing.T) {
	cases := []struct {
		name, key, token string
		data             map[string]string
	}{
		{"value first", "", "one", map[string]string{"value": kubeconfig("one"), "value.yaml": kubeconfig("two")}},
		{"else value.yaml", "", "two", map[string]string{"value.yaml": kubeconfig("two")}},
		{"a key that is named", "mine", "three", map[string]string{"value": kubeconfig("one"), "mine": kubeconfig("three")}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			target, err := impersonate(context.Background(), &witness{Client: store{data: c.data}}, probe.Arguments{}, c.key)
			if err != nil {
				t.Fatal(err)
			}
			if target.BearerToken != c.token || target.Server != "https://127.0.0.1:1" {
				t.Errorf("%q %q", target.BearerToken, target.Server)
			}
		})
	}
}

func TestASecretThatFluxCannotUseIsRefusedWithoutQuotingIt(t *testing.T) {
	cases := []struct {
		name, key, sentence string
		data                map[string]string
	}{
		{"no key value", "", "does not contain a 'value' key", map[string]string{"kubeconfig": kubeconfig("hunter2")}},
		{"no such key", "mine", "does not contain a 'mine' key", map[string]string{"value": kubeconfig("hunter2")}},
		{"not a kubeconfig", "", "not a kubeconfig", map[string]string{"value": "users: hunter2"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := impersonate(context.Background(), &witness{Client: store{data: c.data}}, probe.Arguments{}, c.key)
			if err == nil || !strings.Contains(err.Error(), c.sentence) || strings.Contains(err.Error(), "hunter2") {
				t.Error(err)
			}
		})
	}
}

func TestFluxWatchesSecretsWithItsLabelAlone(t *testing.T) {
	cases := map[string]bool{"Enabled": true, "enabled": false, "": false}
	for value, expected := range cases {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"reconcile.fluxcd.io/watch": value}}}
		watched, err := watches(secret)
		if err != nil || watched != expected {
			t.Errorf("%q: %t, %v", value, watched, err)
		}
	}
}
