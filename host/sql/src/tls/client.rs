//! The client's side of TLS.

use std::sync::Arc;

use lemon_session_store::{Error, Result};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{SslMode, unverified::Unverified};
use crate::server::Server;

impl Server {
    /// The certificates in the file `sslrootcert`, if that option is given.
    pub fn root_certificates(&self) -> Result<Option<Vec<CertificateDer<'static>>>> {
        let Some(path) = &self.sslrootcert else { return Ok(None) };
        let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(Some(certificates)),
            Ok(_) => Err(Error::invalid(format!("there is no PEM certificate in {path:?} (sslrootcert)"))),
            Err(error) => {
                Err(Error::invalid(format!("cannot read the certificates in {path:?} (sslrootcert): {error}")))
            }
        }
    }
}

/// The client's side of TLS, as `sslmode` and `sslrootcert` ask for it.
pub fn tls(server: &Server) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::invalid(format!("TLS cannot be used: {error}")))?;
    if server.sslmode != SslMode::VerifyFull {
        let verifier = Arc::new(Unverified(provider));
        return Ok(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(certificates) = server.root_certificates()? {
        roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|error| Error::invalid(format!("sslrootcert: {error}")))?;
        }
    }
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
