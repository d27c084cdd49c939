//! The command line.

use std::net::SocketAddr;

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

/// The environment variable for the namespaces to watch.
const WATCH_NAMESPACE: &str = "WATCH_NAMESPACE";

/// What is logged unless told otherwise. The libraries would tell of each failure a second time, in words
/// that say less.
const DEFAULT_LOG_FILTER: &str = "info,kube_client=off,kube_runtime=off";

/// Keeps credentials of DigitalOcean Kubernetes clusters fresh in Secrets.
#[derive(Debug, Parser)]
#[command(name = "do-cluster-access", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line and the environment of this process. Ends the process where they make no sense, or
    /// ask for help.
    #[must_use]
    pub fn of_process() -> Self {
        let everywhere = std::env::var_os(WATCH_NAMESPACE).is_some_and(|value| value.is_empty());
        let matches = command(everywhere).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// The command line. `WATCH_NAMESPACE` with nothing in it means `everywhere`, as for operators in general; a flag with
/// nothing in it is a mistake.
fn command(everywhere: bool) -> clap::Command {
    let command = Cli::command();
    if !everywhere {
        return command;
    }
    command.mut_subcommand("run", |run| {
        run.mut_arg("watch_namespaces", |argument| argument.env(None::<&str>))
    })
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator against the cluster of KUBECONFIG, or the one that it runs in
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinitions as YAML
    Crd,
}

/// Flags of `run`. Each can be given by the environment variable in brackets as well.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Base URL of DigitalOcean's API: https, or http to a loopback address
    #[arg(
        long,
        env = "DIGITALOCEAN_API_URL",
        default_value = "https://api.digitalocean.com",
        value_name = "URL"
    )]
    pub digitalocean_api_url: String,

    /// Requests per minute that DigitalOcean allows one API token
    #[arg(long, env = "DO_CLUSTER_ACCESS_DIGITALOCEAN_REQUESTS_PER_MINUTE", default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub digitalocean_requests_per_minute: u32,

    /// Requests per hour that DigitalOcean allows one API token
    #[arg(long, env = "DO_CLUSTER_ACCESS_DIGITALOCEAN_REQUESTS_PER_HOUR", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub digitalocean_requests_per_hour: u32,

    /// Namespace of the operator itself: holds the leader's lease, and the tokens of DOAccounts
    #[arg(
        long,
        env = "POD_NAMESPACE",
        default_value = "do-cluster-access",
        value_parser = namespace,
        value_name = "NAMESPACE"
    )]
    pub operator_namespace: String,

    /// Namespace to watch; repeat for several, leave out for all
    #[arg(
        long = "watch-namespace",
        env = WATCH_NAMESPACE,
        value_delimiter = ',',
        value_parser = namespace,
        value_name = "NAMESPACE"
    )]
    pub watch_namespaces: Vec<String>,

    /// Accesses that are worked on at the same time
    #[arg(long, env = "DO_CLUSTER_ACCESS_WORKERS", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..), value_name = "N")]
    pub workers: u16,

    /// Work only while holding the lease, so that several replicas can run
    #[arg(long, env = "DO_CLUSTER_ACCESS_LEADER_ELECT", default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_name = "BOOL")]
    pub leader_elect: bool,

    /// Name of that lease, in the operator's namespace: those that share it are replicas of one operator
    #[arg(long, env = "DO_CLUSTER_ACCESS_LEASE_NAME", default_value = "do-cluster-access", value_parser = lease, value_name = "NAME")]
    pub lease_name: String,

    /// Where /livez, /readyz and /metrics are served
    #[arg(
        long,
        env = "DO_CLUSTER_ACCESS_ADMIN_ADDRESS",
        default_value = "[::]:8080",
        value_name = "ADDRESS"
    )]
    pub admin_address: SocketAddr,

    /// Form of the log on standard error
    #[arg(long, env = "DO_CLUSTER_ACCESS_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// What is logged: a level, or directives such as `info,do_cluster_access=debug`
    #[arg(
        long,
        env = "DO_CLUSTER_ACCESS_LOG_FILTER",
        default_value = DEFAULT_LOG_FILTER,
        value_name = "FILTER"
    )]
    pub log_filter: String,
}

/// The name of a namespace.
fn namespace(name: &str) -> Result<String, String> {
    let why = "a namespace has 1 to 63 lower-case letters, digits and hyphens";
    label(name).ok_or_else(|| why.to_string())
}

/// The name of a lease: that of a release of the chart, at the most.
fn lease(name: &str) -> Result<String, String> {
    let why = "the name of the lease has 1 to 63 lower-case letters, digits and hyphens";
    label(name).ok_or_else(|| why.to_string())
}

/// A DNS label.
fn label(name: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [name.bytes().next(), name.bytes().next_back()];
    let is_label = name.len() <= 63
        && ends.iter().all(|end| end.is_some_and(allowed))
        && name.bytes().all(|byte| allowed(byte) || byte == b'-');
    is_label.then(|| name.to_string())
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line of text an event.
    Text,
    /// A JSON object an event.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> RunArgs {
        let line = ["do-cluster-access", "run"]
            .into_iter()
            .chain(arguments.iter().copied());
        match Cli::try_parse_from(line).map(|cli| cli.command) {
            Ok(Command::Run(arguments)) => *arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn booleans_are_switched_off_with_an_equals_sign() {
        assert!(run(&[]).leader_elect);
        assert!(run(&["--leader-elect"]).leader_elect);
        assert!(!run(&["--leader-elect=false"]).leader_elect);
    }

    #[test]
    fn namespaces_are_given_one_by_one_or_joined_by_commas() {
        let repeated = run(&["--watch-namespace=a", "--watch-namespace=b"]);
        assert_eq!(repeated.watch_namespaces, ["a", "b"]);
        assert_eq!(run(&["--watch-namespace=a,b"]).watch_namespaces, ["a", "b"]);
    }

    #[test]
    fn what_cannot_be_a_namespace_is_refused() {
        for name in [
            "",
            "Upper",
            "with space",
            "-a",
            "a-",
            "a/b",
            &"a".repeat(64),
        ] {
            let line = ["do-cluster-access", "run", "--watch-namespace", name];
            assert!(Cli::try_parse_from(line).is_err(), "{name:?}");
        }
        assert_eq!(run(&["--operator-namespace=a-1"]).operator_namespace, "a-1");
    }

    #[test]
    fn an_empty_watch_namespace_variable_means_all_of_them() {
        for everywhere in [false, true] {
            let mut command = command(everywhere);
            let line = ["do-cluster-access", "run", "--watch-namespace="];
            assert!(command.try_get_matches_from_mut(line).is_err());
            let run = command.find_subcommand("run").unwrap();
            let mut arguments = run.get_arguments();
            let watched = arguments.find(|argument| argument.get_id() == "watch_namespaces");
            assert_eq!(watched.unwrap().get_env().is_none(), everywhere);
        }
    }

    #[test]
    fn the_lease_has_the_name_of_the_operator_unless_another_is_given() {
        assert_eq!(run(&[]).lease_name, "do-cluster-access");
        assert_eq!(run(&["--lease-name=team-a"]).lease_name, "team-a");
        let line = ["do-cluster-access", "run", "--lease-name=Team"];
        assert!(Cli::try_parse_from(line).is_err());
    }

    #[test]
    fn every_flag_has_an_environment_variable() {
        let command = Cli::command();
        let run = command.find_subcommand("run").unwrap();
        for argument in run
            .get_arguments()
            .filter(|argument| argument.get_id() != "help")
        {
            let named = argument.get_env().is_some() || argument.get_id() == "version";
            assert!(named, "{} has none", argument.get_id());
        }
    }
}
