package main

import (
	"github.com/spf13/cobra"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/cli/globalflag"
	"k8s.io/component-base/compatibility"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/version/verflag"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// newAPIServerCommand is kube-apiserver that asks about every token anew.
//
// The upstream command remembers an accepted token for ten seconds, whatever the webhook's own cache
// time says, and has no flag for it. Tests would then see an expired token succeed. Only the options
// can change that, and the upstream command keeps them to itself, so it is assembled here again.
func newAPIServerCommand() *cobra.Command {
	serverOptions := options.NewServerRunOptions()
	serverOptions.Authentication.TokenSuccessCacheTTL = 0
	registry := serverOptions.GenericServerRunOptions.ComponentGlobalsRegistry
	ctx := genericapiserver.SetupSignalContext()

	command := &cobra.Command{
		Use:          "kube-apiserver",
		Short:        "kube-apiserver without a cache for authenticated tokens",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error {
			verflag.PrintAndExitIfRequested()
			if err := registry.Set(); err != nil {
				return err
			}
			// The server's client of itself would log each warning that it sends to itself.
			rest.SetDefaultWarningHandler(rest.NoWarnings{})
			features := registry.FeatureGateFor(compatibility.DefaultKubeComponent)
			if err := logsapi.ValidateAndApply(serverOptions.Logs, features); err != nil {
				return err
			}
			completed, err := serverOptions.Complete(ctx)
			if err != nil {
				return err
			}
			if invalid := completed.Validate(); len(invalid) != 0 {
				return utilerrors.NewAggregate(invalid)
			}
			return app.Run(ctx, completed)
		},
	}

	flags := serverOptions.Flags()
	verflag.AddFlags(flags.FlagSet("global"))
	globalflag.AddGlobalFlags(flags.FlagSet("global"), command.Name(), logs.SkipLoggingConfigurationFlags())
	for _, set := range flags.FlagSets {
		command.Flags().AddFlagSet(set)
	}
	return command
}
