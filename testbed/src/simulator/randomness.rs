//! Reproducible randomness: the same seed gives the same tokens, ids and fault draws, on every machine and with every
//! release of every dependency.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// A generator whose n-th draw from a stream depends on the seed, the stream's name and n alone, so that drawing from
/// one stream (faults, say) never shifts what another (tokens) gives.
#[derive(Debug)]
pub(crate) struct Randomness {
    seed: u64,
    draws: BTreeMap<&'static str, u64>,
}

impl Randomness {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            draws: BTreeMap::new(),
        }
    }

    /// The next 32 bytes of `stream`.
    pub(crate) fn bytes(&mut self, stream: &'static str) -> [u8; 32] {
        let draw = self.draws.entry(stream).or_insert(0);
        *draw += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(draw.to_be_bytes());
        hash.update(stream.as_bytes());
        hash.finalize().into()
    }

    /// The next number of `stream` in [0, 1).
    pub(crate) fn fraction(&mut self, stream: &'static str) -> f64 {
        let [a, b, c, d, ..] = self.bytes(stream);
        f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
    }

    /// The next 64 hexadecimal digits of `stream`: what DigitalOcean's tokens look like.
    pub(crate) fn hexadecimal(&mut self, stream: &'static str) -> String {
        hexadecimal(&self.bytes(stream))
    }

    /// The next version-4 UUID of `stream`.
    pub(crate) fn uuid(&mut self, stream: &'static str) -> String {
        let mut bytes = self.bytes(stream);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let digits = hexadecimal(&bytes[..16]);
        [
            &digits[..8],
            &digits[8..12],
            &digits[12..16],
            &digits[16..20],
            &digits[20..],
        ]
        .join("-")
    }
}

/// The first twelve hexadecimal digits of the SHA-256 of `secret`: enough to recognise it, useless to authenticate with.
#[must_use]
pub fn fingerprint(secret: &str) -> String {
    hexadecimal(&Sha256::digest(secret.as_bytes())[..6])
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
