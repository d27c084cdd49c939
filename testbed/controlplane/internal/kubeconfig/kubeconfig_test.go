package kubeconfig

import (
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"doclusteraccess.dev/testbed/controlplane/internal/pki"
)

func TestAClientKubeconfigHoldsEverythingInline(t *testing.T) {
	directory := t.TempDir()
	files, err := pki.Ensure(filepath.Join(directory, "pki"), map[string]pki.Identity{"admin": {User: "admin"}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(directory, "admin.kubeconfig")
	if err := WriteClient(path, "https://127.0.0.1:6443", files.CertificateAuthority, "admin", files.Clients["admin"]); err != nil {
		t.Fatal(err)
	}

	client, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	if client.Host != "https://127.0.0.1:6443" {
		t.Errorf("server is %q", client.Host)
	}
	if client.CAFile != "" || client.CertFile != "" || client.KeyFile != "" {
		t.Errorf("the kubeconfig refers to files: %+v", client.TLSClientConfig)
	}
	if len(client.CAData) == 0 || len(client.CertData) == 0 || len(client.KeyData) == 0 {
		t.Error("the kubeconfig misses a certificate or the key")
	}
}

func TestAWebhookKubeconfigMayBePlainHTTP(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webhook.kubeconfig")
	if err := WriteWebhook(path, "http://127.0.0.1:8080/token-review"); err != nil {
		t.Fatal(err)
	}
	client, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	if client.Host != "http://127.0.0.1:8080/token-review" {
		t.Errorf("server is %q", client.Host)
	}
}
