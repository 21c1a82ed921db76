//! What the bytes of a slot amount to, taken in order as they are read: their hash and, part by part, whether a gzip
//! file is whole and whether the checksum files beside it agree.

use std::collections::HashSet;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use md5::Md5;
use sha2::{Digest, Sha256};

use super::gzip::GzipCheck;
use super::parts::PartError;
use super::settings::Checks;
use super::sidecar::{Algorithm, Sidecars, Stated};
use crate::sample::Part;

pub(super) struct Content {
    parts: Arc<[Part]>,
    checks: Checks,
    hash: Sha256,
    /// Of the parts that were taken whole, in hexadecimal; of a single part, the slot's own hash says it.
    parts_sha256: Vec<String>,
    /// Bytes taken.
    taken: u64,
    /// The part whose bytes come next, and so many of them were taken.
    part: usize,
    within: u64,
    check: Option<PartCheck>,
    sidecars: Sidecars,
    /// Checksums that agreed, by the part that they were stated for.
    agreed: HashSet<(usize, Vec<u8>)>,
}

impl Content {
    pub fn new(parts: Arc<[Part]>, checks: Checks) -> Self {
        Self {
            parts,
            checks,
            hash: Sha256::new(),
            parts_sha256: Vec::new(),
            taken: 0,
            part: 0,
            within: 0,
            check: None,
            sidecars: Sidecars::default(),
            agreed: HashSet::new(),
        }
    }

    /// Nothing taken yet, of the same parts.
    pub fn anew(&self) -> Self {
        Self::new(self.parts.clone(), self.checks)
    }

    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The SHA-256 of what was taken, in hexadecimal.
    pub fn sha256(&self) -> String {
        HEXLOWER.encode(&self.hash.clone().finalize())
    }

    /// The same of each part, where there are several and all were taken; else empty.
    pub fn parts_sha256(&self) -> Vec<String> {
        if self.parts_sha256.len() == self.parts.len() { self.parts_sha256.clone() } else { Vec::new() }
    }

    /// Takes the next bytes of the slot.
    ///
    /// # Errors
    /// [`PartError::Corrupt`] and [`PartError::Mismatch`], at the part's last byte at the latest.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), PartError> {
        self.hash.update(bytes);
        self.taken += bytes.len() as u64;
        while let Some(part) = self.parts.get(self.part) {
            let size = part.fingerprint.size;
            if bytes.is_empty() && self.within < size {
                break;
            }
            let check = self
                .check
                .get_or_insert_with(|| PartCheck::begin(part, self.checks, self.parts.len() > 1, &mut self.sidecars));
            let here = (size - self.within).min(bytes.len() as u64);
            let (taken, rest) = bytes.split_at(here as usize);
            check.take(taken, part)?;
            self.within += here;
            bytes = rest;
            if self.within == size {
                self.parts_sha256.extend(check.end(part)?.filter(|_| self.parts.len() > 1));
                self.agreed.extend(check.stated.drain(..).map(|stated| (self.part, stated.digest)));
                (self.part, self.within, self.check) = (self.part + 1, 0, None);
            }
        }
        Ok(())
    }

    /// Whether a checksum of a part is stated now that nobody had stated when it was read.
    pub fn is_stated_anew(&self, n: usize, sidecars: &mut Sidecars) -> bool {
        let is_new = |stated: Stated| !self.agreed.contains(&(n, stated.digest));
        self.checks.sidecars && sidecars.beside(&self.parts[n].path).into_iter().any(is_new)
    }

    /// A check of one part alone.
    pub fn of_part(&self, n: usize) -> Self {
        Self::new([self.parts[n].clone()].into(), self.checks)
    }
}

/// The checks of one part.
struct PartCheck {
    gzip: Option<GzipCheck>,
    md5: Option<Md5>,
    sha256: Option<Sha256>,
    stated: Vec<Stated>,
}

impl PartCheck {
    /// `is_hashed`: whether its own hash is wanted.
    fn begin(part: &Part, checks: Checks, is_hashed: bool, sidecars: &mut Sidecars) -> Self {
        let gzip = if checks.gzip { GzipCheck::of(&part.path) } else { None };
        let stated = if checks.sidecars { sidecars.beside(&part.path) } else { Vec::new() };
        let asks_for = |algorithm| stated.iter().any(|stated| stated.algorithm == algorithm);
        let md5 = asks_for(Algorithm::Md5).then(Md5::new);
        let sha256 = (is_hashed || asks_for(Algorithm::Sha256)).then(Sha256::new);
        Self { gzip, md5, sha256, stated }
    }

    fn take(&mut self, bytes: &[u8], part: &Part) -> Result<(), PartError> {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        let checked = self.gzip.as_mut().map_or(Ok(()), |gzip| gzip.take(bytes));
        checked.map_err(|fault| PartError::Corrupt { path: part.path.clone(), fault: fault.to_string() })
    }

    /// The part's hash, in hexadecimal, where it was taken.
    fn end(&mut self, part: &Part) -> Result<Option<String>, PartError> {
        let checked = self.gzip.as_ref().map_or(Ok(()), GzipCheck::end);
        checked.map_err(|fault| PartError::Corrupt { path: part.path.clone(), fault: fault.to_string() })?;
        let md5 = self.md5.take().map(|md5| md5.finalize().to_vec()).unwrap_or_default();
        let sha256 = self.sha256.take().map(|sha256| sha256.finalize().to_vec()).unwrap_or_default();
        for Stated { by, algorithm, digest } in &self.stated {
            let found = match algorithm {
                Algorithm::Md5 => &md5,
                Algorithm::Sha256 => &sha256,
            };
            if found != digest {
                return Err(PartError::Mismatch {
                    path: part.path.clone(),
                    by: by.clone(),
                    algorithm: algorithm.name(),
                    stated: HEXLOWER.encode(digest),
                    found: HEXLOWER.encode(found),
                });
            }
        }
        Ok((!sha256.is_empty()).then(|| HEXLOWER.encode(&sha256)))
    }
}
