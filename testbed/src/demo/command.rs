//! Running programs to their end.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::error::Error;

const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a command with that input and returns its output. `shown` is what errors call it.
pub(super) async fn output(
    mut command: Command,
    shown: &str,
    input: &str,
) -> Result<String, Error> {
    let failed = |complaint: String| Error::Command {
        command: shown.to_owned(),
        complaint,
    };
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let stdin = process.stdin.take();
    let write = async {
        if let Some(mut stdin) = stdin {
            stdin.write_all(input.as_bytes()).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let run = async { tokio::join!(write, process.wait_with_output()) };
    let (written, output) = timeout(DEADLINE, run).await.map_err(|_| Error::TooLong {
        what: format!("the end of `{shown}`"),
        within: DEADLINE,
        state: String::new(),
    })?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(failed(complaint.trim().to_owned()));
    }
    // A program that succeeds without having read all of its input has not done what it was to do.
    written.map_err(|error| failed(error.to_string()))?;
    String::from_utf8(output.stdout).map_err(|error| failed(error.to_string()))
}
