// The controlplane program is a Kubernetes control plane for tests: etcd, kube-apiserver,
// kube-controller-manager and kubectl in one file, and `up`, which starts and stops them together.
//
// Every component is the upstream code, unchanged; only the API server's token cache is turned off
// (see apiserver.go). Invoked under the name kubectl, the program is kubectl.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // exec and provider plugins in kubeconfigs
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics on /metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // kubernetes_build_info on /metrics
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

const usage = `A Kubernetes control plane for tests.

Usage:
  controlplane up [flags]                       start all of it; "controlplane up --help" lists the flags
  controlplane etcd [flags]                     one component alone,
  controlplane kube-apiserver [flags]             with the flags that
  controlplane kube-controller-manager [flags]    it has upstream
  controlplane kubectl [arguments]              kubectl (also: call this program by the name kubectl)
`

// commands are the programs in this file. They never return: each exits the process itself.
var commands = map[string]func(arguments []string){
	"up":                      runUp,
	"etcd":                    etcdmain.Main,
	"kube-apiserver":          func([]string) { os.Exit(cli.Run(newAPIServerCommand())) },
	"kube-controller-manager": func([]string) { os.Exit(cli.Run(controllermanager.NewControllerManagerCommand())) },
	"kubectl":                 runKubectl,
}

func main() {
	// Each command parses os.Args itself, and expects its own name at the front.
	if invokedAs := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"); invokedAs != "kubectl" {
		if len(os.Args) < 2 {
			fmt.Fprint(os.Stderr, usage)
			os.Exit(2)
		}
		os.Args = os.Args[1:]
	} else {
		os.Args = slices.Concat([]string{invokedAs}, os.Args[1:])
	}

	switch name := os.Args[0]; name {
	case "help", "-h", "--help":
		fmt.Print(usage)
	default:
		command, known := commands[name]
		if !known {
			fmt.Fprintf(os.Stderr, "controlplane: there is no command %q\n\n%s", name, usage)
			os.Exit(2)
		}
		command(os.Args)
	}
}

func runUp(arguments []string) {
	command := newUpCommand()
	command.SetArgs(arguments[1:])
	if err := command.Execute(); err != nil {
		fmt.Fprintf(os.Stderr, "controlplane up: %v\n", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runKubectl(arguments []string) {
	// Building the command logs already (plugins, kuberc), so the verbosity has to be known before.
	_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(arguments))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
	os.Exit(0)
}
