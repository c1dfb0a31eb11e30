//! The certificate authorities that `ca-file` names.

use lemon_session_store::{Error, Result};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::options::Address;

/// The authorities in `ca-file`, at least one; `None` without that option.
pub fn authorities(address: &Address) -> Result<Option<RootCertStore>> {
    let Some(pem) = &address.ca else { return Ok(None) };
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| Error::invalid(format!("ca-file is not valid PEM: {error}")))?;
        let added = authorities.add(certificate);
        added.map_err(|error| Error::invalid(format!("ca-file has a certificate that cannot be used: {error}")))?;
    }
    if authorities.is_empty() {
        return Err(Error::invalid("ca-file has no certificate: it is a PEM file with -----BEGIN CERTIFICATE-----"));
    }
    Ok(Some(authorities))
}
