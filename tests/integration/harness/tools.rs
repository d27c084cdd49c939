//! The programs that `make` puts into `.tools/bin`.

use std::io::Write;
use std::path::PathBuf;

use super::world::repository;

/// The program of that name; `None` where it was not made. Says so loudly then, with the `target` of `make` that makes
/// it, and panics where `CI` is set: there, a test that does not run must not look like one that passed.
pub(crate) fn tool(name: &str, target: &str) -> Option<PathBuf> {
    let path = repository().join(".tools/bin").join(name);
    if path.is_file() {
        return Some(path);
    }
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    let message = format!("{} is missing: run `make {target}`", path.display());
    assert!(!ci, "{message}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Past the test runner, which would hide what a test that passes prints. Nobody reads it, where that fails.
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: {test}: {message} ***\n");
    None
}
