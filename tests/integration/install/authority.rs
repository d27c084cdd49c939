//! A certificate authority that nobody else knows, in front of DigitalOcean: the way that the chart's README shows.

use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Volume};
use kube::Api;
use kube::api::PostParams;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::harness::{Release, Stage, World, unavailable};

/// Name of the volume, and of the ConfigMap in it.
const AUTHORITIES: &str = "private-authorities";

/// Opens TLS in front of a server that speaks plain http.
struct Proxy {
    /// What is in front of the server.
    url: String,
    /// PEM of the authority behind its certificate.
    authority: String,
    /// Ends when this is dropped.
    _tasks: JoinSet<()>,
}

impl Proxy {
    async fn start(server: &str) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = authority.self_signed(&key).unwrap().pem();
        let acceptor = acceptor(&Issuer::new(authority, key));
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, server) = (acceptor.clone(), server.clone());
                connections.spawn(async move {
                    // A client that does not trust the certificate hangs up.
                    let Ok(mut client) = acceptor.accept(client).await else {
                        return;
                    };
                    let mut server = TcpStream::connect(server).await.unwrap();
                    drop(copy_bidirectional(&mut client, &mut server).await);
                });
            }
        });
        Self {
            url: format!("https://localhost:{port}"),
            authority: certificate,
            _tasks: tasks,
        }
    }
}

fn acceptor(issuer: &Issuer<'_, KeyPair>) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Puts the ConfigMaps that the pod mounts where it looks for them, as the kubelet does: behind two links each.
async fn mount(stage: &Stage, release: &Release<'_>) {
    let pod = release.pod().await;
    let volumes: Vec<Volume> = pod.volumes.unwrap_or_default();
    let maps: Api<ConfigMap> = Api::namespaced(stage.client.clone(), &release.namespace);
    for mount in pod.containers[0].volume_mounts.iter().flatten() {
        let mut named = volumes.iter().filter(|volume| volume.name == mount.name);
        let map = &named.next().unwrap().config_map.as_ref().unwrap().name;
        let data = maps.get(map).await.unwrap().data.unwrap();
        let directory = Path::new(&mount.mount_path);
        std::fs::create_dir_all(directory.join("..1")).unwrap();
        symlink("..1", directory.join("..data")).unwrap();
        for (name, content) in data {
            std::fs::write(directory.join("..1").join(&name), content).unwrap();
            symlink(Path::new("..data").join(&name), directory.join(&name)).unwrap();
        }
    }
}

fn values(release: &Release<'_>, proxy: &Proxy, directory: &Path) -> Value {
    json!({
        "crds": {"install": false},
        "watchNamespaces": [release.namespace],
        "digitalocean": {"apiUrl": proxy.url},
        "extraArgs": ["--admin-address=127.0.0.1:0"],
        "extraEnv": [{"name": "SSL_CERT_DIR", "value": directory}],
        "extraVolumes": [{"name": AUTHORITIES, "configMap": {"name": AUTHORITIES}}],
        "extraVolumeMounts": [{"name": AUTHORITIES, "mountPath": directory, "readOnly": true}],
    })
}

#[tokio::test]
async fn a_private_authority_in_a_volume_is_trusted_and_without_it_digitalocean_is_not_reached() {
    if unavailable() {
        return;
    }
    let world = World::shared().await;
    let proxy = Proxy::start(&world.digitalocean_url()).await;
    let stage = Stage::with_operator(&world, async |namespace| {
        let directory = world.control_plane.directory().join(namespace);
        let release = Release::new(&world, "proxied", namespace);
        release.install(&values(&release, &proxy, &directory)).await;
        release.service_account().await
    })
    .await;
    let release = Release::new(&world, "proxied", &stage.namespace);
    let map = json!({
        "metadata": {"name": AUTHORITIES},
        "data": {"proxy.crt": proxy.authority},
    });
    let maps: Api<ConfigMap> = Api::namespaced(stage.client.clone(), &stage.namespace);
    let map: ConfigMap = serde_json::from_value(map).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    mount(&stage, &release).await;

    stage.add_cluster(stage.cluster("prod"));
    let spec = json!({"cluster": {"name": "prod"}});
    let access = stage.create_access("prod", spec).await;
    let without = json!({"extraEnv": [], "extraVolumes": [], "extraVolumeMounts": []});
    let directory = world.control_plane.directory().join(&stage.namespace);
    let complete = values(&release, &proxy, &directory);
    let mut bare = complete.clone();
    let fields = without.as_object().unwrap().clone();
    bare.as_object_mut().unwrap().extend(fields);
    release.upgrade(&bare).await;
    let distrustful = release.start_pod("pod-0").await;
    access.synced("ApiUnavailable").await;
    distrustful.kill().await;

    release.upgrade(&complete).await;
    let _trusting = release.start_pod("pod-1").await;
    access.ready().await;
    assert_eq!(stage.mints().len(), 2);
}
