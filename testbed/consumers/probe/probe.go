// Package probe is what the consumers have in common: the command line, and what is asked of a cluster to
// show that a credential works there. How a Secret becomes a client is each consumer's own code.
//
// It knows nothing of Kubernetes but what it is handed, because every consumer comes with another version of
// the client libraries.
package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Deadline is how long a run may take.
const Deadline = 30 * time.Second

// Arguments say where the Secret is.
type Arguments struct {
	// Kubeconfig is the file that leads to the management API server.
	Kubeconfig string
	// Namespace of the Secret.
	Namespace string
	// Secret is its name.
	Secret string
}

// Target is a cluster as a consumer understands the Secret that leads to it.
type Target struct {
	// Server is the URL of its API server.
	Server string
	// BearerToken is the token in the client's configuration, empty with client certificates.
	BearerToken string
	// ClientCertificate is the certificate in the client's configuration, in PEM, empty with a token.
	ClientCertificate []byte
	// Review asks the cluster who the client is, by a SelfSubjectReview.
	Review func(context.Context) (Identity, error)
	// ListNamespaces lists at most one namespace of the cluster.
	ListNamespaces func(context.Context) error
	// Details are what this consumer alone knows.
	Details map[string]any
}

// Identity is who the holder of a credential is.
type Identity struct {
	Username string
	Groups   []string
}

// Report is what a run prints.
type Report struct {
	Consumer string   `json:"consumer"`
	Server   string   `json:"server"`
	Username string   `json:"username"`
	Groups   []string `json:"groups"`
	// Hexadecimal SHA-256 of the bearer token, empty with client certificates.
	TokenSHA256 string `json:"tokenSha256"`
	// The same of the client certificate in PEM, empty with a token.
	CertificateSHA256 string         `json:"certificateSha256"`
	Details           map[string]any `json:"details"`
}

// Connect reads the Secret as the consumer does, and makes the consumer's client of it. Its errors must hold
// nothing of the Secret's data.
type Connect func(context.Context, Arguments) (*Target, error)

// Main runs a consumer and ends the process: 0 when the cluster answered, 2 after a wrong command line, 1
// otherwise. define, which may be nil, adds the consumer's own flags.
func Main(consumer string, define func(*flag.FlagSet), connect Connect) {
	os.Exit(run(consumer, define, connect, os.Args[1:], os.Stdout, os.Stderr))
}

func run(consumer string, define func(*flag.FlagSet), connect Connect, line []string, stdout, stderr io.Writer) int {
	program := "consumer-" + consumer
	arguments, err := parse(program, define, line, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), Deadline)
	defer cancel()
	report, err := ask(ctx, consumer, connect, arguments)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %s\n", program, oneLine(err))
		return 1
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(report); err != nil {
		fmt.Fprintf(stderr, "%s: cannot print the report: %s\n", program, oneLine(err))
		return 1
	}
	return 0
}

func parse(program string, define func(*flag.FlagSet), line []string, stderr io.Writer) (Arguments, error) {
	var arguments Arguments
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&arguments.Kubeconfig, "kubeconfig", "", "`file` that leads to the management API server")
	flags.StringVar(&arguments.Namespace, "namespace", "", "`namespace` of the Secret")
	flags.StringVar(&arguments.Secret, "secret", "", "`name` of the Secret")
	if define != nil {
		define(flags)
	}
	if err := flags.Parse(line); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(stderr, "Usage of %s:\n", program)
			flags.SetOutput(stderr)
			flags.PrintDefaults()
		}
		return arguments, err
	}
	if flags.NArg() > 0 {
		return arguments, fmt.Errorf("there is no argument %q: everything is a flag, --help lists them", flags.Arg(0))
	}
	for _, name := range []string{"kubeconfig", "namespace", "secret"} {
		if flags.Lookup(name).Value.String() == "" {
			return arguments, fmt.Errorf("--%s is missing", name)
		}
	}
	return arguments, nil
}

func ask(ctx context.Context, consumer string, connect Connect, arguments Arguments) (Report, error) {
	target, err := connect(ctx, arguments)
	if err != nil {
		return Report{}, err
	}
	identity, err := target.Review(ctx)
	if err != nil {
		return Report{}, target.refusal("does not say who the credential belongs to", err)
	}
	if err := target.ListNamespaces(ctx); err != nil {
		return Report{}, target.refusal("does not list its namespaces", err)
	}
	report := Report{
		Consumer: consumer,
		Server:   target.Server,
		Username: identity.Username,
		// No groups are an empty list, not null.
		Groups:            append([]string{}, identity.Groups...),
		TokenSHA256:       fingerprint([]byte(target.BearerToken)),
		CertificateSHA256: fingerprint(target.ClientCertificate),
		Details:           target.Details,
	}
	return report, nil
}

func fingerprint(credential []byte) string {
	if len(credential) == 0 {
		return ""
	}
	sum := sha256.Sum256(credential)
	return hex.EncodeToString(sum[:])
}

// refusal wraps what a client said about a request to the cluster. Clients do not quote credentials; should
// one start to, the token stays out nevertheless.
func (target *Target) refusal(what string, err error) error {
	message := err.Error()
	if target.BearerToken != "" {
		message = strings.ReplaceAll(message, target.BearerToken, "[token]")
	}
	return fmt.Errorf("the cluster %s %s: %s", target.Server, what, message)
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
