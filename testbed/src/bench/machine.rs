//! Where and what was measured: the first line of the results.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::error::Error;
use crate::demo::stage::root;

/// Machine, commit and versions.
pub(super) fn heading(operator: &Path, kubernetes: &str) -> Result<Value, Error> {
    let size = std::fs::metadata(operator).map_err(Error::file(operator))?;
    Ok(json!({
        "machine": {
            "cpu": field("/proc/cpuinfo", "model name"),
            "cpus": std::thread::available_parallelism()?.get(),
            "memory": field("/proc/meminfo", "MemTotal"),
            "kernel": read("/proc/sys/kernel/osrelease").trim(),
            "load": read("/proc/loadavg").trim(),
        },
        // Marked where files differ from that commit.
        "commit": output("git", &["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]),
        "versions": {
            "operator": output(operator, &["--version"]),
            "operator_bytes": size.len(),
            "kubernetes": kubernetes,
            "rustc": output("rustc", &["--version"]),
        },
    }))
}

/// The value of the first line `name: value`; empty where there is none.
fn field(path: &str, name: &str) -> String {
    let content = read(path);
    let mut fields = content.lines().filter_map(|line| line.split_once(':'));
    let field = fields.find(|(key, _)| key.trim() == name);
    field.map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// What a program says; `unknown` where it cannot be asked: figures without it are figures still.
fn output(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(root()).output();
    let said = output.ok().filter(|output| output.status.success());
    said.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
