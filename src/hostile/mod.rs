//! What comes from outside, at its worst: for each kind of input one function that reads it as the
//! operator does, through public functions alone, and checks everything that must hold whatever was
//! read. Properties give them mutations of real documents here; the fuzz targets in `fuzz/` compile
//! this very module and give them what libFuzzer thinks of.
//!
//! An input that breaks a rule panics.

pub(crate) mod answers;
pub(crate) mod credential;
pub(crate) mod kubeconfig;
pub(crate) mod resources;
pub(crate) mod secrecy;
pub(crate) mod secrets;
pub(crate) mod seeds;

#[cfg(test)]
mod mutation;
#[cfg(test)]
mod tests;
