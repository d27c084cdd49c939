// Package pki makes the certificates and keys of a control plane.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// lifetime of every certificate: longer than any test, short enough for every client.
const lifetime = 365 * 24 * time.Hour

// Identity is who a client certificate says that its holder is.
type Identity struct {
	User   string
	Groups []string
}

// Files are the paths of a set that Ensure made.
type Files struct {
	CertificateAuthority string // PEM certificate that issued all others
	Serving              Pair
	ServiceAccounts      Pair // Certificate holds the public key that checks tokens, Key the one that signs
	Clients              map[string]Pair
}

// Pair is a PEM certificate (or public key) and its PEM private key.
type Pair struct {
	Certificate string
	Key         string
}

// Ensure returns the set in directory, which it makes when there is none. An existing one is used
// as it is: tokens and kubeconfigs outlive a restart of the control plane.
func Ensure(directory string, clients map[string]Identity) (Files, error) {
	_, err := os.Stat(directory)
	if errors.Is(err, fs.ErrNotExist) {
		err = create(directory, clients)
	}
	if err != nil {
		return Files{}, fmt.Errorf("certificates in %s: %w", directory, err)
	}
	files := Files{
		CertificateAuthority: pairIn(directory, "ca").Certificate,
		Serving:              pairIn(directory, "serving"),
		ServiceAccounts:      pairIn(directory, "service-accounts"),
		Clients:              map[string]Pair{},
	}
	for name := range clients {
		files.Clients[name] = pairIn(directory, "client-"+name)
	}
	return files, nil
}

func pairIn(directory, name string) Pair {
	return Pair{
		Certificate: filepath.Join(directory, name+".crt"),
		Key:         filepath.Join(directory, name+".key"),
	}
}

// create fills a directory next to the final one and renames it: a set is there whole or not at all.
func create(directory string, clients map[string]Identity) error {
	unfinished := directory + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := os.MkdirAll(unfinished, 0o700); err != nil {
		return err
	}
	authority, err := newAuthority()
	if err != nil {
		return err
	}
	if err := writeCertificate(pairIn(unfinished, "ca"), authority.certificate.Raw, authority.key); err != nil {
		return err
	}
	if err := authority.issue(pairIn(unfinished, "serving"), servingTemplate()); err != nil {
		return err
	}
	for name, identity := range clients {
		if err := authority.issue(pairIn(unfinished, "client-"+name), clientTemplate(identity)); err != nil {
			return err
		}
	}
	if err := writeSigningKey(pairIn(unfinished, "service-accounts")); err != nil {
		return err
	}
	return os.Rename(unfinished, directory)
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority() (authority, error) {
	key, err := newKey()
	if err != nil {
		return authority{}, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "controlplane"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	encoded, err := sign(template, template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	certificate, err := x509.ParseCertificate(encoded)
	return authority{certificate, key}, err
}

func (a authority) issue(pair Pair, template *x509.Certificate) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	encoded, err := sign(template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	return writeCertificate(pair, encoded, key)
}

func servingTemplate() *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		DNSNames: []string{
			"localhost",
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		},
	}
}

func clientTemplate(identity Identity) *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: identity.User, Organization: identity.Groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	// Clocks in tests are moved: a certificate that is valid from now on would be refused by one that runs late.
	template.NotBefore = time.Now().Add(-lifetime)
	template.NotAfter = time.Now().Add(lifetime)
	return x509.CreateCertificate(rand.Reader, template, parent, public, signer)
}

func writeSigningKey(pair Pair) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writePEM(pair.Certificate, "PUBLIC KEY", public); err != nil {
		return err
	}
	return writeKey(pair.Key, key)
}

func writeCertificate(pair Pair, encoded []byte, key *ecdsa.PrivateKey) error {
	if err := writePEM(pair.Certificate, "CERTIFICATE", encoded); err != nil {
		return err
	}
	return writeKey(pair.Key, key)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "PRIVATE KEY", encoded)
}

func writePEM(path, kind string, encoded []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: encoded}), 0o600)
}
