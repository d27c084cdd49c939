package pki

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var admin = map[string]Identity{"admin": {User: "kubernetes-admin", Groups: []string{"system:masters"}}}

func ensure(t *testing.T, directory string) Files {
	t.Helper()
	files, err := Ensure(directory, admin)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func load(t *testing.T, pair Pair) tls.Certificate {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestServerAndClientTrustEachOtherAndTheServerLearnsWhoItIs(t *testing.T) {
	files := ensure(t, filepath.Join(t.TempDir(), "pki"))
	roots := x509.NewCertPool()
	authority, err := os.ReadFile(files.CertificateAuthority)
	if err != nil || !roots.AppendCertsFromPEM(authority) {
		t.Fatalf("the certificate authority cannot be read: %v", err)
	}

	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		subject := r.TLS.PeerCertificates[0].Subject
		_, _ = io.WriteString(w, subject.CommonName+" of "+strings.Join(subject.Organization, ","))
	}))
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{load(t, files.Serving)},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    roots,
	}
	server.StartTLS()
	defer server.Close()

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs:      roots,
		Certificates: []tls.Certificate{load(t, files.Clients["admin"])},
	}}}
	defer client.CloseIdleConnections()
	answer, err := client.Get(server.URL) // https://127.0.0.1:…
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(body), "kubernetes-admin of system:masters"; got != want {
		t.Fatalf("the server sees %q instead of %q", got, want)
	}
}

func TestASetThatExistsIsUsedAgain(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "pki")
	first, err := os.ReadFile(ensure(t, directory).ServiceAccounts.Key)
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(ensure(t, directory).ServiceAccounts.Key)
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(second) {
		t.Fatal("the key that signs ServiceAccount tokens changed")
	}
}

func TestALeftoverOfAnInterruptedCreationIsReplaced(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "pki")
	if err := os.MkdirAll(directory+".unfinished", 0o700); err != nil {
		t.Fatal(err)
	}
	load(t, ensure(t, directory).Serving)
	if _, err := os.Stat(directory + ".unfinished"); !os.IsNotExist(err) {
		t.Fatalf("the leftover is still there: %v", err)
	}
}

func TestPrivateKeysAreReadableByTheirOwnerAlone(t *testing.T) {
	files := ensure(t, filepath.Join(t.TempDir(), "pki"))
	for _, key := range []string{files.Serving.Key, files.ServiceAccounts.Key, files.Clients["admin"].Key} {
		info, err := os.Stat(key)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", key, info.Mode().Perm())
		}
	}
}
