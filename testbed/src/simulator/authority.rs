//! Client certificates for certificate clusters. Keys are Ed25519 and drawn from the seed, so that even the
//! certificates of a run are the same the next time.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};

use super::account::User;

/// What precedes the 32 bytes of an Ed25519 private key in PKCS #8.
const ED25519_PKCS8_HEADER: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A certificate and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateAndKey {
    /// `-----BEGIN CERTIFICATE-----`.
    pub certificate: String,
    /// `-----BEGIN PRIVATE KEY-----`.
    pub key: String,
}

/// Signs client certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// An authority of that common name whose key is `key`.
    pub(crate) fn generate(common_name: &str, key: [u8; 32]) -> Result<Self, rcgen::Error> {
        let mut parameters = CertificateParams::default();
        parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2100, 1, 1);
        parameters.distinguished_name = distinguished_name("DigitalOcean", common_name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = ed25519(key)?;
        let pem = parameters.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(parameters, key),
            pem,
        })
    }

    /// The authority of the given PEM, so that an API server that trusts it accepts our client certificates.
    pub(crate) fn from_pem(given: &CertificateAndKey) -> Result<Self, rcgen::Error> {
        let key = KeyPair::from_pem(&given.key)?;
        Ok(Self {
            issuer: Issuer::from_ca_cert_pem(&given.certificate, key)?,
            pem: given.certificate.clone(),
        })
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A client certificate for `user` (its first group as organisation) that is valid from five minutes before `now`
    /// until `not_after`, in whole seconds.
    pub(crate) fn issue(
        &self,
        user: &User,
        key: [u8; 32],
        serial: [u8; 32],
        now: Timestamp,
        not_after: Timestamp,
    ) -> Result<CertificateAndKey, rcgen::Error> {
        let mut parameters = CertificateParams::default();
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let since_epoch = |time: Timestamp| Duration::from_secs(time.as_second().unsigned_abs());
        parameters.not_before = epoch + since_epoch(now) - Duration::from_secs(300);
        parameters.not_after = epoch + since_epoch(not_after);
        parameters.distinguished_name = distinguished_name(
            user.groups.first().map_or("", String::as_str),
            &user.username,
        );
        // Positive and without a leading zero byte, as DER wants it.
        let mut serial_number = serial[..16].to_vec();
        serial_number[0] = (serial_number[0] & 0x7f) | 0x40;
        parameters.serial_number = Some(SerialNumber::from_slice(&serial_number));
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = ed25519(key)?;
        Ok(CertificateAndKey {
            certificate: parameters.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn distinguished_name(organization: &str, common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if !organization.is_empty() {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common_name);
    name
}

fn ed25519(key: [u8; 32]) -> Result<KeyPair, rcgen::Error> {
    KeyPair::try_from([ED25519_PKCS8_HEADER.as_slice(), &key].concat())
}
