package supervisor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"
)

// probe asks the API server whether things are there, as the administrator.
type probe struct {
	server string
	client *http.Client
}

func newProbe(l layout) (probe, error) {
	authority, err := os.ReadFile(l.certificates.CertificateAuthority)
	if err != nil {
		return probe{}, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	pair := l.certificates.Clients[administrator]
	certificate, err := tls.LoadX509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return probe{}, err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs:      roots,
		Certificates: []tls.Certificate{certificate},
	}}
	return probe{server: l.server(), client: &http.Client{Transport: transport, Timeout: 5 * time.Second}}, nil
}

// missing is nil when the path answers 200, else what came instead.
func (p probe) missing(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.server+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "controlplane-readiness")
	answer, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, answer.Status)
	}
	return nil
}

// wait returns once every path answers 200, or with the reason why that will not happen.
func (c *children) wait(ctx context.Context, probe probe, paths ...string) error {
	const between = 50 * time.Millisecond
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if failure := c.failureUntil(ctx); failure != nil {
			cancel(failure)
		}
	}()

	for _, path := range paths {
		for {
			missing := probe.missing(ctx, path)
			if missing == nil {
				break
			}
			select {
			case <-time.After(between):
				continue
			case <-ctx.Done():
			}
			if cause := context.Cause(ctx); cause != errNotReady {
				return cause
			}
			return fmt.Errorf("%w: %w\n%s", errNotReady, missing, c.started[len(c.started)-1].Tail())
		}
	}
	return nil
}
