//! A process that has an image's root file system and nothing else, as under Pod Security `restricted`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command as Blocking, Stdio};

use serde_json::Value;
use tokio::process::Command;

use super::layout::{Directory, Image};

/// Mounts the root file system read-only, and becomes the program in it: one process from begin to end.
const ENTER: &str = r#"
mount --bind "$1" "$1"
mount --options remount,bind,ro "$1"
root=$1
shift
exec setpriv --no-new-privs chroot --userspec=65532:65532 --groups= "$root" "$@"
"#;

/// What a container runtime makes of an image before it starts the program.
pub(super) struct Container {
    root: Directory,
    entrypoint: String,
    environment: Vec<(String, String)>,
}

impl Container {
    /// A copy of the image's files, with what a runtime adds.
    pub(super) fn of(image: &Image) -> Self {
        let root = Directory::new();
        let mut copy = Blocking::new("cp");
        copy.arg("--archive")
            .arg(image.root().join("."))
            .arg(&root.0);
        assert!(copy.status().unwrap().success());
        let entrypoint = image.config["config"]["Entrypoint"][0].as_str();
        let container = Self {
            root,
            entrypoint: entrypoint.unwrap().to_owned(),
            environment: environment(&image.config["config"]["Env"]),
        };
        container.put("etc/hosts", "127.0.0.1 localhost\n");
        container
    }

    /// Mounts a file.
    pub(super) fn put(&self, path: &str, content: &str) {
        let path = self.root.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Adds a certificate authority to those that the image trusts.
    pub(super) fn trust(&self, authority: &str) {
        let bundle = self.root.0.join("etc/ssl/certs/ca-certificates.crt");
        let bundle = fs::OpenOptions::new().append(true).open(bundle);
        bundle.unwrap().write_all(authority.as_bytes()).unwrap();
    }

    /// Sets a variable of the program's environment, which holds nothing else.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The program with these arguments; killed when dropped.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-eu", "-c", ENTER, "image"])
            .arg(&self.root.0)
            .arg(&self.entrypoint)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// What an image sets, `NAME=value` each.
fn environment(set: &Value) -> Vec<(String, String)> {
    let set = set.as_array().into_iter().flatten();
    set.map(|set| {
        let (name, value) = set.as_str().unwrap().split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    })
    .collect()
}

/// By the kernel's word: the process is 65532, has no capability, cannot gain one, and cannot write anywhere.
pub(super) fn assert_confined(process: u32) {
    let process = Path::new("/proc").join(process.to_string());
    let status = fs::read_to_string(process.join("status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(field("Uid:"), ["65532"; 4]);
    assert_eq!(field("Gid:"), ["65532"; 4]);
    assert_eq!(field("Groups:"), [""; 0]);
    for capabilities in ["CapPrm:", "CapEff:", "CapInh:", "CapAmb:"] {
        assert_eq!(field(capabilities), ["0000000000000000"], "{capabilities}");
    }
    assert_eq!(field("NoNewPrivs:"), ["1"]);
    let mounts = fs::read_to_string(process.join("mountinfo")).unwrap();
    let mounts: Vec<_> = mounts.lines().collect();
    let [root] = mounts.as_slice() else {
        panic!("one file system, not {mounts:#?}");
    };
    let fields: Vec<_> = root.split_whitespace().collect();
    assert_eq!(fields[4], "/", "{root}");
    assert!(fields[5].split(',').any(|option| option == "ro"), "{root}");
}
