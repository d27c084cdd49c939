// Asks the DigitalOcean API for every cluster and its credentials with DigitalOcean's own client, and compares the
// answers with what the simulator says it holds. It prints one line, and exits with 1 at the first difference.
//
// DIGITALOCEAN_API_URL is the simulator's base URL, DIGITALOCEAN_TOKEN the API token of an account of it.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/digitalocean/godo"
)

// cluster is what the simulator tells of a cluster on its control endpoint.
type cluster struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Region   string `json:"region"`
	Version  string `json:"version"`
	State    string `json:"state"`
	Endpoint string `json:"endpoint"`
	// "token", or an object for client certificates.
	Authentication json.RawMessage `json:"authentication"`
	SSO            *struct {
		Required bool `json:"required"`
	} `json:"sso"`
}

func (c cluster) usesTokens() bool { return string(c.Authentication) == `"token"` }

func (c cluster) refusesTokens() bool { return c.SSO != nil && c.SSO.Required }

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	summary, err := run(ctx, os.Getenv("DIGITALOCEAN_API_URL"), os.Getenv("DIGITALOCEAN_TOKEN"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "godo:", err)
		os.Exit(1)
	}
	fmt.Println(summary)
}

func run(ctx context.Context, url, token string) (string, error) {
	if url == "" || token == "" {
		return "", errors.New("set DIGITALOCEAN_API_URL and DIGITALOCEAN_TOKEN")
	}
	expected, err := simulated(ctx, url)
	if err != nil {
		return "", fmt.Errorf("ask the simulator for its clusters: %w", err)
	}
	client, err := godo.New(http.DefaultClient, godo.SetBaseURL(url), godo.SetRequestHeaders(bearer(token)))
	if err != nil {
		return "", err
	}
	for _, perPage := range []int{0, 7, 200} {
		if err := checkList(ctx, client, expected, perPage); err != nil {
			return "", fmt.Errorf("list with per_page %d: %w", perPage, err)
		}
	}
	fetched := 0
	for _, want := range expected {
		served, err := checkCluster(ctx, client, want)
		if err != nil {
			return "", fmt.Errorf("cluster %s (%s): %w", want.Name, want.ID, err)
		}
		if served {
			fetched++
		}
	}
	if err := checkErrors(ctx, url, client); err != nil {
		return "", err
	}
	return fmt.Sprintf("godo %s: listed %d clusters, fetched credentials and kubeconfig of %d",
		client.UserAgent, len(expected), fetched), nil
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

func simulated(ctx context.Context, url string) (map[string]cluster, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/_simulator/clusters", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var owned []struct {
		Cluster cluster `json:"cluster"`
	}
	if err := json.NewDecoder(response.Body).Decode(&owned); err != nil {
		return nil, err
	}
	clusters := make(map[string]cluster, len(owned))
	for _, one := range owned {
		clusters[one.Cluster.ID] = one.Cluster
	}
	if len(clusters) <= 25 {
		return nil, fmt.Errorf("%d clusters fit on one page of the default size: add some", len(clusters))
	}
	return clusters, nil
}

func checkList(ctx context.Context, client *godo.Client, expected map[string]cluster, perPage int) error {
	options := &godo.ListOptions{PerPage: perPage}
	seen := make(map[string]bool, len(expected))
	previous := time.Now().Add(time.Hour)
	for {
		page, response, err := client.Kubernetes.List(ctx, options)
		if err != nil {
			return err
		}
		if response.Meta == nil || response.Meta.Total != len(expected) {
			return fmt.Errorf("meta is %v, not %d clusters", response.Meta, len(expected))
		}
		if response.Rate.Limit == 0 || response.Rate.Reset.IsZero() {
			return fmt.Errorf("no rate limit was told: %v", response.Rate)
		}
		for _, got := range page {
			if seen[got.ID] {
				return fmt.Errorf("cluster %s was listed twice", got.ID)
			}
			seen[got.ID] = true
			if got.CreatedAt.After(previous) {
				return fmt.Errorf("cluster %s is newer than the one before it", got.ID)
			}
			previous = got.CreatedAt
			if err := compare(expected[got.ID], got); err != nil {
				return err
			}
		}
		// A list of one page has no links at all.
		if response.Links == nil || response.Links.IsLastPage() {
			break
		}
		current, err := response.Links.CurrentPage()
		if err != nil {
			return err
		}
		options.Page = current + 1
	}
	if len(seen) != len(expected) {
		return fmt.Errorf("%d clusters were listed, not %d", len(seen), len(expected))
	}
	return nil
}

func compare(want cluster, got *godo.KubernetesCluster) error {
	endpoint := want.Endpoint
	if endpoint == "" {
		endpoint = "https://" + want.ID + ".k8s.ondigitalocean.com"
	}
	pairs := [][2]string{
		{got.ID, want.ID}, {got.Name, want.Name}, {got.RegionSlug, want.Region}, {got.VersionSlug, want.Version},
		{got.Endpoint, endpoint}, {string(got.Status.State), want.State}, {got.Tags[len(got.Tags)-1], "k8s:" + want.ID},
	}
	for _, pair := range pairs {
		if pair[0] != pair[1] {
			return fmt.Errorf("%q was answered instead of %q", pair[0], pair[1])
		}
	}
	if len(got.NodePools) == 0 {
		return errors.New("it has no node pool")
	}
	return nil
}

// checkCluster says whether the cluster has credentials for us.
func checkCluster(ctx context.Context, client *godo.Client, want cluster) (bool, error) {
	got, _, err := client.Kubernetes.Get(ctx, want.ID)
	if err != nil {
		return false, err
	}
	if err := compare(want, got); err != nil {
		return false, err
	}
	lifetime := 300
	request := &godo.KubernetesClusterCredentialsGetRequest{ExpirySeconds: &lifetime}
	credentials, _, err := client.Kubernetes.GetCredentials(ctx, want.ID, request)
	if refusal := expectedRefusal(want); refusal != 0 {
		return false, statusIs(err, refusal)
	}
	if err != nil {
		return false, err
	}
	if err := checkCredentials(want, got, credentials, time.Duration(lifetime)*time.Second); err != nil {
		return false, fmt.Errorf("credentials: %w", err)
	}
	config, _, err := client.Kubernetes.GetKubeConfigWithExpiry(ctx, want.ID, int64(lifetime))
	if err != nil {
		return false, err
	}
	return true, checkKubeconfig(want, got, string(config.KubeconfigYAML))
}

func expectedRefusal(want cluster) int {
	switch {
	case want.State == "provisioning" || want.State == "error":
		return http.StatusNotFound
	case want.refusesTokens():
		return http.StatusForbidden
	default:
		return 0
	}
}

func checkCredentials(want cluster, got *godo.KubernetesCluster, credentials *godo.KubernetesClusterCredentials, lifetime time.Duration) error {
	if credentials.Server != got.Endpoint {
		return fmt.Errorf("the server is %q, not %q", credentials.Server, got.Endpoint)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(credentials.CertificateAuthorityData) {
		return errors.New("the certificate authority is not a certificate")
	}
	if !want.usesTokens() {
		if credentials.Token != "" {
			return errors.New("a certificate cluster answered with a token")
		}
		_, err := tls.X509KeyPair(credentials.ClientCertificateData, credentials.ClientKeyData)
		return err
	}
	if credentials.Token == "" || credentials.ClientCertificateData != nil || credentials.ClientKeyData != nil {
		return errors.New("a token cluster answered without a token, or with a certificate")
	}
	// The two clocks are those of one machine; the answer took a moment.
	if left := time.Until(credentials.ExpiresAt); left > lifetime || left < lifetime-time.Minute {
		return fmt.Errorf("the token lives for another %s, not %s", left, lifetime)
	}
	return nil
}

func checkKubeconfig(want cluster, got *godo.KubernetesCluster, config string) error {
	name := "do-" + got.RegionSlug + "-" + got.Name
	parts := []string{"server: " + got.Endpoint + "\n", "current-context: " + name + "\n", "token: "}
	if !want.usesTokens() {
		parts[2] = "client-certificate-data: "
	}
	for _, part := range parts {
		if !strings.Contains(config, part) {
			return fmt.Errorf("there is no %q in the kubeconfig", part)
		}
	}
	return nil
}

func checkErrors(ctx context.Context, url string, client *godo.Client) error {
	const gone = "00000000-0000-4000-8000-000000000000"
	_, _, err := client.Kubernetes.Get(ctx, gone)
	if err := statusIs(err, http.StatusNotFound); err != nil {
		return fmt.Errorf("an unknown cluster: %w", err)
	}
	stranger, err := godo.New(http.DefaultClient, godo.SetBaseURL(url), godo.SetRequestHeaders(bearer("dop_v1_unknown")))
	if err != nil {
		return err
	}
	_, _, err = stranger.Kubernetes.List(ctx, nil)
	if err := statusIs(err, http.StatusUnauthorized); err != nil {
		return fmt.Errorf("an unknown API token: %w", err)
	}
	return nil
}

// statusIs says what is wrong with err as DigitalOcean's answer of that status; nil when nothing is.
func statusIs(err error, status int) error {
	var answer *godo.ErrorResponse
	if !errors.As(err, &answer) {
		return fmt.Errorf("instead of status %d: %v", status, err)
	}
	if answer.Response.StatusCode != status || answer.Message == "" || answer.RequestID == "" {
		return fmt.Errorf("instead of status %d with a message and a request id: %w", status, err)
	}
	return nil
}
