//! What a program in a container finds in the network: a name server, and DigitalOcean behind TLS.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;

/// A name server that knows one name, which is the loopback.
pub(super) struct Names {
    /// Where it is asked, at port 53: a resolver's configuration can name no other port.
    pub(super) address: Ipv4Addr,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Names {
    pub(super) async fn serve(name: &str) -> Self {
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        let address = Ipv4Addr::new(127, 0, 53, NUMBER.fetch_add(1, Ordering::Relaxed));
        let socket = UdpSocket::bind((address, 53)).await.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, name) = (asked.clone(), encoded(name));
        let serving = tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let Some((answer, known)) = answer(&buffer[..length], &name) else {
                    continue;
                };
                count.fetch_add(usize::from(known), Ordering::Relaxed);
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        Self {
            address,
            asked,
            serving,
        }
    }

    /// How many questions about the name there were.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A name as in a DNS message (RFC 1035, section 3.1).
fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// The answer to a query with one question, and whether it was about `name`; `None` for what is no query.
fn answer(query: &[u8], name: &[u8]) -> Option<(Vec<u8>, bool)> {
    const HEADER: usize = 12;
    const ADDRESS: [u8; 2] = [0, 1];
    let asked = query.get(HEADER..)?;
    let end = asked.iter().position(|byte| *byte == 0)? + 1;
    let (kind, question) = (asked.get(end..end + 2)?, asked.get(..end + 4)?);
    let known = asked[..end].eq_ignore_ascii_case(name);
    let found = known && kind == ADDRESS;
    let code = if known { 0 } else { 3 };
    let mut answer = query[..2].to_vec();
    // A response with recursion; one question, then the answers; no further sections.
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
    answer.extend_from_slice(question);
    if found {
        // The name of the question, type A, class IN, a minute, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(Ipv4Addr::LOCALHOST.octets());
    }
    Some((answer, known))
}

/// TLS in front of a plain server, under a name, with a certificate of an authority of its own.
pub(super) struct TlsFront {
    pub(super) url: String,
    /// PEM.
    pub(super) certificate_authority: String,
    connections: Arc<AtomicUsize>,
    handshakes: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl TlsFront {
    /// Serves what is behind `plain_url` on a free port of the loopback.
    pub(super) async fn serve(name: &str, plain_url: &str) -> Self {
        let behind = plain_url.strip_prefix("http://").unwrap();
        let behind = behind.trim_end_matches('/').to_owned();
        let (certificate_authority, config) = identity(name);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("https://{name}:{}", listener.local_addr().unwrap().port());
        let (connections, handshakes) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (begun, complete) = (connections.clone(), handshakes.clone());
        let serving = tokio::spawn(async move {
            let mut conversations = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                begun.fetch_add(1, Ordering::Relaxed);
                let (acceptor, behind, complete) =
                    (acceptor.clone(), behind.clone(), complete.clone());
                conversations.spawn(async move {
                    // A client that does not trust us hangs up, which is what one of the tests wants.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        complete.fetch_add(1, Ordering::Relaxed);
                        pass_on(stream, &behind).await;
                    }
                });
            }
        });
        Self {
            url,
            certificate_authority,
            connections,
            handshakes,
            serving,
        }
    }

    /// How many there were, whatever came of them.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many of them trusted the certificate.
    pub(super) fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::Relaxed)
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass_on(mut outside: TlsStream<TcpStream>, behind: &str) {
    let mut inside = TcpStream::connect(behind).await.unwrap();
    // Either end may hang up at any time.
    drop(copy_bidirectional(&mut outside, &mut inside).await);
}

fn identity(name: &str) -> (String, ServerConfig) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate().unwrap();
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = server.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (pem, config)
}
