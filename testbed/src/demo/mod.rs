//! `demo`: the operator's main job on real components, to watch in a terminal.
//!
//! [`Stage`] is what the operator meets: the DigitalOcean simulator, and a control plane that asks it
//! about tokens, so that it plays the management cluster and the target cluster at once. On it, the
//! chart is installed ([`install`]) and the operator runs ([`Operator`]). [`Story`] then tells, on a
//! [`Timeline`], how a DOClusterAccess becomes a Secret that renews itself, while a [`Poller`] calls the
//! target with whatever that Secret holds. What came of it is the [`Summary`].

mod command;
mod consumer;
pub(crate) mod effort;
pub(crate) mod error;
mod explore;
mod follow;
pub(crate) mod install;
mod interruption;
pub(crate) mod names;
pub(crate) mod operator;
pub(crate) mod stage;
mod story;
mod summary;
mod tally;
mod terminal;
mod timeline;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use tempfile::TempDir;

use self::consumer::Poller;
use self::error::Error;
use self::interruption::Interruption;
use self::names::OPERATOR;
use self::operator::Operator;
use self::stage::Stage;
use self::story::{ACCESS_YAML, Story};
use self::summary::Summary;
use self::terminal::{BAD, BOLD, QUIET, Terminal};
use self::timeline::Timeline;

/// Longer than anybody plays.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What a shell makes of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
/// How much of the operator's log a failure shows.
const LOG_LINES: usize = 12;

/// Watch a DOClusterAccess become a Secret that renews itself: the operator on a real Kubernetes API server and a
/// simulated DigitalOcean. The last line of output is machine-readable
#[derive(Args, Debug)]
pub struct Demo {
    /// The operator to run
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/release/do-cluster-access"
    )]
    operator: PathBuf,
    /// Renewals to watch; each takes about 40 seconds
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    rotations: u8,
    /// End after the summary, even on a terminal, where everything would stay up until Ctrl-C
    #[arg(long, env = "ONCE", value_parser = FalseyValueParser::new())]
    once: bool,
    /// Leave the directory with all logs and data behind
    #[arg(long)]
    keep: bool,
}

impl Demo {
    /// Shows it. The exit code is 1 when it fails, or the credential in the Secret was ever refused.
    pub async fn run(self) -> ExitCode {
        let terminal = Terminal::standard_output();
        let outcome = match directory() {
            Ok(directory) => self.show_in(directory, &terminal).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(Error::Interrupted) => ExitCode::from(INTERRUPTED),
            Err(_) => ExitCode::FAILURE,
        }
    }

    /// Removes the directory afterwards, unless it tells why the demo failed.
    async fn show_in(&self, mut directory: TempDir, terminal: &Terminal) -> Result<(), Error> {
        let outcome = self.show(directory.path(), terminal).await;
        let has_traces = outcome.as_ref().is_err_and(Error::has_traces);
        let kept = self.keep || has_traces;
        directory.disable_cleanup(kept);
        let aside = Terminal::standard_error();
        if let Err(error) = &outcome
            && !matches!(error, Error::Interrupted)
        {
            aside.line(&format!("{BAD}the demo failed:{BAD:#} {error}"))?;
        }
        if has_traces {
            aside.line(&end_of_log(directory.path()))?;
        }
        if kept {
            aside.line(&format!(
                "All logs and data: {}",
                directory.path().display()
            ))?;
        }
        outcome
    }

    async fn show(&self, directory: &Path, terminal: &Terminal) -> Result<(), Error> {
        let mut interruption = Interruption::listen()?;
        if !self.operator.is_file() {
            return Err(Error::Missing(self.operator.clone()));
        }
        self.introduce(terminal)?;
        // Not to be interrupted half way: what was started has to be stopped in its order.
        let stage = Stage::set(directory, terminal).await?;
        let outcome = self
            .play(&stage, directory, terminal, &mut interruption)
            .await;
        if matches!(outcome, Err(Error::Interrupted)) {
            terminal.hint("stopping")?;
        }
        let struck = stage.strike().await;
        terminal.erase()?;
        outcome.and(struck)
    }

    fn introduce(&self, terminal: &Terminal) -> io::Result<()> {
        let seconds = 15 + 40 * u32::from(self.rotations);
        terminal.line(&format!(
            "{BOLD}do-cluster-access: a DOClusterAccess becomes a Secret that renews itself{BOLD:#}\n\
             Real Kubernetes, real operator, on this machine alone; DigitalOcean is simulated, and the one\n\
             API server plays both the management cluster and the target cluster. About {seconds} seconds.\n"
        ))
    }

    async fn play(
        &self,
        stage: &Stage,
        directory: &Path,
        terminal: &Terminal,
        interruption: &mut Interruption,
    ) -> Result<(), Error> {
        let log = operator_log(directory);
        let begin = Box::pin(self.begin(stage, directory, &log, terminal));
        let mut operator = interruption.unless(begin).await?;
        let yaml = ACCESS_YAML.replace('\n', "\n    ");
        let yaml = yaml.trim_end();
        terminal.line(&format!(
            "\n    {QUIET}# access.yaml{QUIET:#}\n    {yaml}\n"
        ))?;

        let timeline = Timeline::new(terminal);
        let (secret, access) = (follow::secret(&stage.client), follow::access(&stage.client));
        let poller = Poller::new();
        let story = Story {
            stage,
            timeline: &timeline,
            poller: &poller,
            secret: secret.clone(),
            access: access.clone(),
            kubeconfig: directory.join("prod.kubeconfig"),
        };
        let told = async {
            tokio::select! {
                summary = story.tell(self.rotations.into()) => summary,
                impossible = poller.poll(secret.clone(), stage.simulator.clone()) => impossible,
            }
        };
        let summary = interruption
            .unless(operator.while_running(Box::pin(told)))
            .await?;
        conclude(terminal, &summary)?;

        if io::stdout().is_terminal() && !self.once {
            let aside = Terminal::standard_error();
            aside.line(&explore::suggestions(stage, &log))?;
            let timeline = timeline.moved_to(&aside);
            let narration = explore::narrate(&timeline, secret, access);
            let ended = interruption.unless(operator.while_running(narration)).await;
            // How it is meant to end.
            ended.or_else(|error| match error {
                Error::Interrupted => Ok(()),
                error => Err(error),
            })?;
        }
        operator.stop().await
    }

    /// Installs what the operator needs, and runs it until it leads.
    async fn begin(
        &self,
        stage: &Stage,
        directory: &Path,
        log: &Path,
        terminal: &Terminal,
    ) -> Result<Operator, Error> {
        terminal.hint("  chart          being installed")?;
        let chart = install::chart(&stage.control_plane, directory).await?;
        install::team(stage).await?;
        let kinds: Vec<String> = chart.kinds.into_iter().collect();
        terminal.line(&format!("  chart          {}", kinds.join(", ")))?;

        terminal.hint("  operator       starts")?;
        let kubeconfig = stage
            .control_plane
            .service_account_kubeconfig(OPERATOR, OPERATOR, DAY)
            .await?;
        let digitalocean = stage.served.url();
        // What the chart's Deployment says, behind the command `run`.
        let flags: Vec<&str> = chart.arguments.iter().skip(1).map(String::as_str).collect();
        let mut operator =
            Operator::start(&self.operator, &kubeconfig, &digitalocean, &flags, log)?;
        let leads = operator::leads(&stage.client);
        operator.while_running(leads).await?;
        terminal.line(&format!(
            "  operator       {} run, as ServiceAccount {OPERATOR} (log: {})",
            self.operator.display(),
            log.display(),
        ))?;
        Ok(operator)
    }
}

fn conclude(terminal: &Terminal, summary: &Summary) -> Result<(), Error> {
    terminal.line(&format!("\n{BOLD}Summary{BOLD:#}\n{}\n", summary.lines()))?;
    terminal.line(&summary.machine_readable())?;
    if summary.refused.is_zero() {
        return Ok(());
    }
    Err(Error::CredentialRefused {
        seconds: summary.refused_seconds(),
    })
}

fn directory() -> Result<TempDir, Error> {
    let created = tempfile::Builder::new()
        .prefix("do-cluster-access-demo-")
        .tempdir();
    Ok(created?)
}

fn operator_log(directory: &Path) -> PathBuf {
    directory.join("operator.log")
}

/// What the operator said last, in case that tells why.
fn end_of_log(directory: &Path) -> String {
    let log = operator_log(directory);
    match operator::last_lines(&log, LOG_LINES) {
        lines if lines.is_empty() => "The operator has logged nothing.".to_owned(),
        lines => format!("The operator's log, {}, ends with\n{lines}", log.display()),
    }
}
