//! For tests: certificates, credentials, and a look at the log.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, date_time_ymd,
};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Level, Subscriber};
use tracing_subscriber::fmt::MakeWriter;

use super::{Authentication, Credential};

/// What no output, log or `Debug` may show.
pub(crate) const TOKEN: &str = "dop_v1_5ecre7c0ffee";

/// An endpoint as DigitalOcean gives them.
pub(crate) const SERVER: &str =
    "https://bd5f5959-5e1e-4205-a714-a914373942af.k8s.ondigitalocean.com";

/// A certificate authority of our own.
pub(crate) struct Authority {
    pub(crate) certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: Certificate,
    pub(crate) key: KeyPair,
}

/// What [`Authority::issue`] varies.
pub(crate) struct Lifetime {
    pub(crate) from_year: i32,
    pub(crate) to_year: i32,
}

impl Lifetime {
    pub(crate) const CURRENT: Self = Self {
        from_year: 2020,
        to_year: 2120,
    };
}

/// One for all tests that need any.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("tests"));

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub(crate) fn issue(&self, host: &str, lifetime: &Lifetime) -> Identity {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, host);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.not_before = date_time_ymd(lifetime.from_year, 1, 1);
        params.not_after = date_time_ymd(lifetime.to_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        Identity {
            certificate: params.signed_by(&key, &self.issuer).unwrap(),
            key,
        }
    }
}

impl Identity {
    pub(crate) fn authentication(&self) -> Authentication {
        Authentication::Certificate {
            certificate_pem: self.certificate.pem(),
            key_pem: self.key.serialize_pem().into(),
        }
    }
}

/// A credential with [`TOKEN`] for [`SERVER`].
pub(crate) fn token_credential() -> Credential {
    credential(Authentication::Token(TOKEN.into()))
}

/// A credential with a client certificate for [`SERVER`].
pub(crate) fn certificate_credential() -> Credential {
    credential(
        AUTHORITY
            .issue("admin", &Lifetime::CURRENT)
            .authentication(),
    )
}

fn credential(authentication: Authentication) -> Credential {
    Credential::new(SERVER.into(), AUTHORITY.pem(), authentication).unwrap()
}

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes every log statement enabled for good. Without it, one that another thread reaches first
/// is disabled for the process: a lone subscriber is asked through that thread's default.
static EVERYTHING_ENABLED: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new(trace_level(io::sink)));

fn trace_level<W>(writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_writer(writer)
        .finish()
}

/// Keeps what this thread logs, at trace level, until the guard is dropped.
pub(crate) fn capture_log() -> (Log, DefaultGuard) {
    LazyLock::force(&EVERYTHING_ENABLED);
    let log = Log::default();
    let writer = log.clone();
    let guard = tracing::subscriber::set_default(trace_level(move || writer.clone()));
    // Those that were reached while there was nobody to ask.
    tracing::callsite::rebuild_interest_cache();
    (log, guard)
}
