//! An OCI image, as it is on disk.

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use x509_parser::pem::Pem;

/// An image of one platform, with its layers unpacked. Dropping it removes what was unpacked.
pub(super) struct Image {
    /// What the image says of itself: platform, and how it is to be run.
    pub(super) config: Value,
    manifest: Value,
    directory: Directory,
}

impl Image {
    /// Reads an OCI image layout that holds one image, as a container runtime does.
    pub(super) fn read(layout: &Path) -> Self {
        let read = |path: PathBuf| -> Value {
            let bytes = std::fs::read(&path);
            serde_json::from_slice(
                &bytes.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            )
            .unwrap()
        };
        let index = read(layout.join("index.json"));
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1, "{index}");
        let manifest = read(blob(layout, &index["manifests"][0]));
        let config = read(blob(layout, &manifest["config"]));
        let directory = Directory::new();
        for layer in manifest["layers"].as_array().unwrap() {
            let status = Command::new("tar")
                .args(["--extract", "--gzip", "--same-permissions", "--file"])
                .arg(blob(layout, layer))
                .arg("--directory")
                .arg(&directory.0)
                .status();
            assert!(status.unwrap().success(), "tar failed with {layer}");
        }
        Self {
            config,
            manifest,
            directory,
        }
    }

    /// The root file system.
    pub(super) fn root(&self) -> &Path {
        &self.directory.0
    }

    /// Every file with its mode, in order.
    pub(super) fn files(&self) -> Vec<(String, u32)> {
        let mut files = Vec::new();
        walk(self.root(), &mut |path, metadata| {
            let path = path.strip_prefix(self.root()).unwrap();
            let mode = metadata.permissions().mode() & 0o7777;
            files.push((path.to_str().unwrap().to_owned(), mode));
        });
        files.sort();
        files
    }

    /// What a node downloads.
    pub(super) fn compressed_bytes(&self) -> u64 {
        let layers = self.manifest["layers"].as_array().unwrap();
        layers
            .iter()
            .map(|layer| layer["size"].as_u64().unwrap())
            .sum()
    }

    /// What it takes there.
    pub(super) fn unpacked_bytes(&self) -> u64 {
        let mut bytes = 0;
        walk(self.root(), &mut |_, metadata| bytes += metadata.len());
        bytes
    }
}

fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    layout.join("blobs").join(digest.replace(':', "/"))
}

fn walk(directory: &Path, visit: &mut impl FnMut(&Path, &Metadata)) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            walk(&path, visit);
        } else {
            visit(&path, &metadata);
        }
    }
}

/// The subjects of the certificates in a bundle, each of which has to be one.
pub(super) fn certificates(bundle: &[u8]) -> Vec<String> {
    let certificate =
        |pem: Result<Pem, _>| pem.unwrap().parse_x509().unwrap().subject().to_string();
    Pem::iter_from_buffer(bundle).map(certificate).collect()
}

/// A directory for one test, which goes with it.
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("do-cluster-access-image-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} stays behind: {error}", self.0.display());
        }
    }
}
