//! The program that runs the control plane: where it is, how it starts and how it ends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::thread::{self, JoinHandle};

use serde::Deserialize;

use super::{Error, Options};

/// The environment variable that names the program when it is elsewhere than `make tools` puts it.
pub const BINARY_VARIABLE: &str = "DO_CLUSTER_ACCESS_CONTROLPLANE";

/// Where everything is, as the program says once it is ready.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Announcement {
    pub(super) server: String,
    pub(super) kubeconfig: PathBuf,
    pub(super) ca_file: PathBuf,
    pub(super) audit_log: PathBuf,
    pub(super) dir: PathBuf,
    kubectl: Vec<String>,
    pub(super) pid: u32,
    pub(super) components: BTreeMap<String, Component>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Component {
    pub(super) pid: u32,
}

/// The running program.
///
/// Nothing here belongs to an async runtime: a control plane that tests share outlives the runtime
/// of the test that started it.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) announcement: Announcement,
    /// The program ends when this does, and the operating system closes it with this process.
    input: ChildStdin,
    /// Waits for the end of the program, and says how it was.
    end: JoinHandle<Result<(), Error>>,
}

impl Program {
    pub(super) async fn start(options: Options) -> Result<Self, Error> {
        blocking(move || Self::start_blocking(&options)).await
    }

    fn start_blocking(options: &Options) -> Result<Self, Error> {
        let path = path()?;
        let mut child = command(&path, options)
            .spawn()
            .map_err(|source| Error::Spawn {
                path: path.display().to_string(),
                source,
            })?;
        let (Some(input), Some(output), Some(complaints)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three are piped");
        };
        let mut line = String::new();
        if BufReader::new(output).read_line(&mut line).is_err() || line.is_empty() {
            drop(input);
            wait_for_end(child, complaints)?;
            return Err(Error::Ended("it said nothing".to_owned()));
        }
        let announcement =
            serde_json::from_str(&line).map_err(|source| Error::Announcement { line, source })?;
        let end = thread::spawn(move || wait_for_end(child, complaints).inspect_err(complain));
        Ok(Self {
            announcement,
            input,
            end,
        })
    }

    pub(super) async fn stop(self) -> Result<(), Error> {
        let Self { input, end, .. } = self;
        drop(input);
        blocking(move || join(end)).await
    }

    pub(super) fn kubectl(&self) -> tokio::process::Command {
        let [program, arguments @ ..] = self.announcement.kubectl.as_slice() else {
            unreachable!("a command line has a program");
        };
        let mut command = tokio::process::Command::new(program);
        command.args(arguments);
        command
    }
}

/// Whether tests have to do without a control plane because it was not built. Says so loudly, and
/// panics where `CI` is set: there, a test that does not run must not look like one that passed.
///
/// ```no_run
/// # use do_cluster_access_testbed::control_plane;
/// if control_plane::unavailable() {
///     return;
/// }
/// ```
///
/// # Panics
/// When the program is missing and the environment variable `CI` is neither empty nor `false`.
#[must_use]
pub fn unavailable() -> bool {
    let Err(missing) = path() else {
        return false;
    };
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    assert!(!ci, "{missing}");
    let test = thread::current().name().unwrap_or("a test").to_owned();
    say(&format!("\n*** SKIPPED: {test}: {missing} ***\n"));
    true
}

fn path() -> Result<PathBuf, Error> {
    let path = std::env::var_os(BINARY_VARIABLE).map_or_else(
        || {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .with_file_name(".tools")
                .join("bin/controlplane")
        },
        PathBuf::from,
    );
    if path.is_file() {
        Ok(path)
    } else {
        Err(Error::Missing {
            path: path.display().to_string(),
        })
    }
}

fn command(path: &Path, options: &Options) -> Command {
    let mut command = Command::new(path);
    command.args(["up", "--until-stdin-closes"]);
    command.arg(format!(
        "--controller-manager={}",
        options.controller_manager
    ));
    if let Some(url) = &options.token_webhook_url {
        command.args(["--token-webhook-url", url]);
    }
    for path in &options.custom_resource_definitions {
        command.arg("--crds").arg(path);
    }
    if let Some(directory) = &options.directory {
        command.arg("--dir").arg(directory);
    }
    if let Some(port) = options.api_server_port {
        command.args(["--apiserver-port", &port.to_string()]);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // An interrupt typed at the terminal is for us; the program ends when we say so.
    command.process_group(0);
    command
}

/// Waits until the program has ended, with what it complained about if it ended badly.
fn wait_for_end(mut child: Child, mut complaints: ChildStderr) -> Result<(), Error> {
    let mut text = String::new();
    let read = complaints.read_to_string(&mut text);
    match (read, child.wait()) {
        (Ok(_), Ok(status)) if status.success() => Ok(()),
        (_, Ok(status)) => Err(Error::Ended(format!("{status}\n{text}"))),
        (_, Err(error)) => Err(Error::Ended(error.to_string())),
    }
}

/// Nothing else explains why the next tests fail.
fn complain(error: &Error) {
    say(&error.to_string());
}

/// Writes to standard error past the test runner, which would hide what a test that passes prints.
fn say(text: &str) {
    // Nobody reads it, then.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn join(end: JoinHandle<Result<(), Error>>) -> Result<(), Error> {
    end.join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
