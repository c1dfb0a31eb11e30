//! How connections are encrypted.

use std::sync::Arc;

use lemon_session_store::{Error, Result};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::server::Server;

/// When the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyFull,
}

pub(super) fn ssl_mode(mode: &str) -> Result<SslMode> {
    Ok(match mode {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-full" => SslMode::VerifyFull,
        _ => {
            return Err(Error::invalid(format!(
                "sslmode is {mode:?}: it has to be one of disable, prefer, require, verify-full"
            )));
        }
    })
}

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
pub fn tls(server: &Server) -> Result<rustls::ClientConfig> {
    use rustls::{ClientConfig, RootCertStore, crypto::ring};

    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::invalid(format!("TLS cannot be used: {error}")))?;
    if server.sslmode != SslMode::VerifyFull {
        let verifier = Arc::new(unverified::Unverified(provider));
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

/// Encryption without a check of the server's identity, as `sslmode` has it for `prefer` and `require`.
mod unverified {
    use std::sync::Arc;

    use rustls::{
        DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    };

    #[derive(Debug)]
    pub struct Unverified(pub Arc<CryptoProvider>);

    impl ServerCertVerifier for Unverified {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}
