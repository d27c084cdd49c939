package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/component-base/version/verflag"

	"doclusteraccess.dev/testbed/controlplane/internal/supervisor"
)

func newUpCommand() *cobra.Command {
	var options supervisor.Options
	var untilStdinCloses bool
	command := &cobra.Command{
		Use:   "controlplane up [flags]",
		Short: "Start etcd, kube-apiserver and kube-controller-manager on 127.0.0.1, and stop them at the end",
		Long: `Start etcd, kube-apiserver and kube-controller-manager on 127.0.0.1.

When they are ready, one line of JSON on standard output says where: "server", "kubeconfig" (of an
administrator), "caFile", "auditLog" (one JSON event a line, level Metadata), "kubectl" (a command
line), "dir" with all files and logs, "pid", and "components" with the process and log of each. The
command then stays until SIGINT or SIGTERM, stops the components, and removes the directory if it
made it itself. When a component ends earlier, so does the command, with status 1 and the end of that
component's log.

When KUBEBUILDER_ASSETS names a directory, the etcd, kube-apiserver, kube-controller-manager and
kubectl in it are used instead of the ones in this program, which stand in for those that are missing
there. Such a kube-apiserver keeps accepting a token for ten seconds after it expired.`,
		Args:                  cobra.NoArgs,
		DisableFlagsInUseLine: true,
		SilenceUsage:          true,
		SilenceErrors:         true,
		RunE: func(command *cobra.Command, _ []string) error {
			verflag.PrintAndExitIfRequested()
			// Children die with the thread that started them: this one must last as long as the program.
			runtime.LockOSThread()
			// Whoever read our output may be gone, and there is still a directory to remove.
			signal.Ignore(syscall.SIGPIPE)
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if untilStdinCloses {
				ctx = untilEndOf(ctx, os.Stdin)
			}
			return supervisor.Run(ctx, options, command.OutOrStdout())
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&options.Directory, "dir", "", "directory for data, certificates and logs; kept, and used again by the next start (default: a new one, removed at the end)")
	flags.StringVar(&options.TokenWebhookURL, "token-webhook-url", "", "TokenReview (authentication.k8s.io/v1) webhook that is asked about bearer tokens, next to ServiceAccount tokens and client certificates")
	flags.StringArrayVar(&options.CustomResourceDefinitions, "crds", nil, "file or directory with CustomResourceDefinitions to install before the controllers start, which otherwise notice new ones only every 30 seconds (repeatable)")
	flags.BoolVar(&options.ControllerManager, "controller-manager", true, "run kube-controller-manager: garbage collection, namespaces, ServiceAccounts, quota")
	flags.IntVar(&options.APIServerPort, "apiserver-port", 0, "port of the API server (default: a free one)")
	flags.IntVar(&options.EtcdPort, "etcd-port", 0, "port of etcd (default: a free one)")
	flags.BoolVar(&untilStdinCloses, "until-stdin-closes", false, "end, too, when standard input does: a parent process that holds the other end of the pipe takes the control plane with it, even when it is killed")
	return command
}

// untilEndOf returns a context that ends with ctx or with the input.
func untilEndOf(ctx context.Context, input io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, input) // an error ends the input just as its end does
		cancel()
	}()
	return ctx
}
