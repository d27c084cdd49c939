package supervisor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"doclusteraccess.dev/testbed/controlplane/internal/kubeconfig"
	"doclusteraccess.dev/testbed/controlplane/internal/pki"
	"doclusteraccess.dev/testbed/controlplane/internal/ports"
)

const (
	administrator     = "kubernetes-admin"
	controllerManager = "system:kube-controller-manager"
)

// Metadata says who did what to which object, and holds no content: no credential can end up there.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
`

// controllers are those that act on objects which need no node.
var controllers = []string{
	"clusterrole-aggregation-controller", // the rules of admin, edit and view
	"garbage-collector-controller",
	"namespace-controller",
	"resourcequota-controller",
	"root-ca-certificate-publisher-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
}

// component is a program to run.
type component struct {
	name    string
	log     string
	command []string
}

// layout is where everything of one control plane is.
type layout struct {
	directory     string
	certificates  pki.Files
	apiServerPort int
	etcdPort      int
}

// prepare writes all files that the components read.
func prepare(directory string, options Options) (layout, error) {
	l := layout{directory: directory, apiServerPort: options.APIServerPort, etcdPort: options.EtcdPort}
	for _, port := range []*int{&l.apiServerPort, &l.etcdPort} {
		if *port != 0 {
			continue
		}
		free, err := ports.Reserve()
		if err != nil {
			return layout{}, err
		}
		*port = free
	}

	identities := map[string]pki.Identity{
		administrator:     {User: administrator, Groups: []string{"system:masters"}},
		controllerManager: {User: controllerManager},
	}
	certificates, err := pki.Ensure(filepath.Join(directory, "pki"), identities)
	if err != nil {
		return layout{}, err
	}
	l.certificates = certificates
	for user := range identities {
		err := kubeconfig.WriteClient(l.kubeconfig(user), l.server(), certificates.CertificateAuthority, user, certificates.Clients[user])
		if err != nil {
			return layout{}, err
		}
	}
	if options.TokenWebhookURL != "" {
		if err := kubeconfig.WriteWebhook(l.file("token-webhook.kubeconfig"), options.TokenWebhookURL); err != nil {
			return layout{}, err
		}
	}
	return l, os.WriteFile(l.file("audit-policy.yaml"), []byte(auditPolicy), 0o600)
}

func (l layout) file(name string) string { return filepath.Join(l.directory, name) }

func (l layout) auditLog() string { return l.file("audit.ndjson") }

func (l layout) server() string { return fmt.Sprintf("https://127.0.0.1:%d", l.apiServerPort) }

func (l layout) etcdServer() string { return fmt.Sprintf("http://127.0.0.1:%d", l.etcdPort) }

func (l layout) kubeconfig(user string) string {
	return l.file(strings.TrimPrefix(user, "system:") + ".kubeconfig")
}

func (l layout) etcd() component {
	return l.component("etcd",
		"--data-dir="+l.file("etcd"),
		"--listen-client-urls="+l.etcdServer(),
		"--advertise-client-urls="+l.etcdServer(),
		"--listen-peer-urls=http://127.0.0.1:0", // a single member has no peers
		"--unsafe-no-fsync",
		"--log-level=warn",
	)
}

func (l layout) apiServer(tokenWebhook bool) component {
	certificates := l.certificates
	flags := []string{
		"--etcd-servers=" + l.etcdServer(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",   // the default asks for a default route, which a sandbox may not have
		"--endpoint-reconciler-type=none", // and nothing could be reached there from a pod
		fmt.Sprintf("--secure-port=%d", l.apiServerPort),
		"--tls-cert-file=" + certificates.Serving.Certificate,
		"--tls-private-key-file=" + certificates.Serving.Key,
		"--service-cluster-ip-range=10.0.0.0/24",

		"--allow-privileged=true", // left to Pod Security

		"--authorization-mode=RBAC",
		"--client-ca-file=" + certificates.CertificateAuthority,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + certificates.ServiceAccounts.Certificate,
		"--service-account-signing-key-file=" + certificates.ServiceAccounts.Key,

		// Blocking: an answer that a client has read is in the log.
		"--audit-log-mode=blocking",
		"--audit-log-format=json",
		"--audit-log-path=" + l.auditLog(),
		"--audit-log-maxsize=0", // no rotation
		"--audit-policy-file=" + l.file("audit-policy.yaml"),

		// Many tests at once are one client to fair queuing, and should not queue.
		"--max-requests-inflight=3000",
		"--max-mutating-requests-inflight=1000",
		"--profiling=false",
	}
	if tokenWebhook {
		flags = append(flags,
			"--authentication-token-webhook-config-file="+l.file("token-webhook.kubeconfig"),
			"--authentication-token-webhook-version=v1",
			"--authentication-token-webhook-cache-ttl=0s",
		)
	}
	return l.component("kube-apiserver", flags...)
}

func (l layout) controllerManager() component {
	return l.component("kube-controller-manager",
		"--kubeconfig="+l.kubeconfig(controllerManager),
		"--controllers="+strings.Join(controllers, ","),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file="+l.certificates.ServiceAccounts.Key,
		"--root-ca-file="+l.certificates.CertificateAuthority,
		"--leader-elect=false",
		"--secure-port=0", // serves nothing
		"--profiling=false",
	)
}

func (l layout) component(name string, flags ...string) component {
	return component{name: name, log: l.file(name + ".log"), command: append(executable(name), flags...)}
}

// executable is the command that runs a component: the program in KUBEBUILDER_ASSETS, else this one.
func executable(name string) []string {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		if path, err := exec.LookPath(filepath.Join(assets, name)); err == nil {
			return []string{path}
		}
	}
	return []string{ownPath(), name}
}

func ownPath() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// installCustomResourceDefinitions returns once the API server serves them.
func installCustomResourceDefinitions(ctx context.Context, l layout, path string) error {
	for _, arguments := range [][]string{
		{"apply", "--server-side", "--filename", path},
		{"wait", "--for=condition=Established", "--timeout=30s", "--filename", path},
	} {
		command := append(executable("kubectl"), "--kubeconfig", l.kubeconfig(administrator), "--cache-dir", l.file("kubectl-cache"))
		command = append(command, arguments...)
		kubectl := exec.CommandContext(ctx, command[0], command[1:]...)
		kubectl.Stdin = nil
		if output, err := kubectl.CombinedOutput(); err != nil {
			return fmt.Errorf("install the CustomResourceDefinitions of %s: %w\n%s", path, err, output)
		}
	}
	return nil
}
