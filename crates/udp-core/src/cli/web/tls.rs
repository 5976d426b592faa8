//! TLS 1.2 and 1.3 by rustls with ring, as exporter-toolkit's file asks for it.
//!
//! The names are Go's, whose library the toolkit has. What rustls lacks is refused.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
};
use serde_saphyr::Spanned;

use super::alternative_names::alternative_names;
use super::written::{Faults, Pem, Tls};

/// Cipher suites, curves and versions.
#[derive(Debug)]
pub(super) struct Provider {
    crypto: CryptoProvider,
    versions: Vec<&'static SupportedProtocolVersion>,
}

/// What may be spoken.
pub(super) fn provider(tls: &Tls, faults: &mut Faults) -> Provider {
    let mut crypto = ring::default_provider();
    if let Some(named) = &tls.cipher_suites {
        let all = std::mem::take(&mut crypto.cipher_suites);
        let name = |suite: &rustls::SupportedCipherSuite| {
            format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
        };
        let mut chosen = choose("cipher suite", named, &all, name, faults);
        // Go's list is of those before 1.3, which has all of its own where none of them is named.
        if !chosen.iter().any(|suite| suite.tls13().is_some()) {
            chosen.extend(all.iter().filter(|suite| suite.tls13().is_some()));
        }
        crypto.cipher_suites = if named.is_empty() { all } else { chosen };
    }
    if let Some(named) = tls.curve_preferences.as_ref().filter(|it| !it.is_empty()) {
        let all = std::mem::take(&mut crypto.kx_groups);
        let name = |group: &&dyn crypto::SupportedKxGroup| {
            format!("{:?}", group.name()).replace("secp", "CurveP").replace("r1", "")
        };
        crypto.kx_groups = choose("curve", named, &all, name, faults);
    }
    let mut bound = |said: &Option<Spanned<String>>, default: u8| match said {
        None => default,
        Some(said) => match &*said.value {
            "TLS12" => 2,
            "TLS13" => 3,
            other => {
                faults.at(said, format!("{other} is not spoken; there are TLS12, TLS13"));
                default
            }
        },
    };
    let mut spoken = bound(&tls.min_version, 2)..=bound(&tls.max_version, 3);
    if let Some(said) = tls.min_version.as_ref().filter(|_| spoken.is_empty()) {
        faults.at(said, "min_version is above max_version");
        spoken = 2..=3;
    }
    let versions = [(2, &TLS12), (3, &TLS13)];
    let spoken = versions.into_iter().filter(|(version, _)| spoken.contains(version));
    Provider { crypto, versions: spoken.map(|(_, version)| version).collect() }
}

/// Those of `all` that are named, in the order in which they are named.
fn choose<T: Copy>(
    what: &str,
    named: &[Spanned<String>],
    all: &[T],
    name: impl Fn(&T) -> String,
    faults: &mut Faults,
) -> Vec<T> {
    let find = |said: &Spanned<String>| {
        let found = all.iter().find(|it| name(it) == said.value);
        if found.is_none() {
            let names: Vec<_> = all.iter().map(&name).collect();
            let names = names.join(", ");
            faults.at(said, format!("there is no {what} {}; there are {names}", said.value));
        }
        found.copied()
    };
    let found: Vec<T> = named.iter().filter_map(find).collect();
    // What is missing was said; with all of them there is nothing more to say of them.
    if found.len() < named.len() { all.to_vec() } else { found }
}

/// What a connection is taken in with: certificate, key, and the authorities of clients.
/// None where a line is bad.
pub(super) fn server_config(
    tls: &Tls,
    provider: Provider,
    (cert, key, ca): (&Pem<'_>, &Pem<'_>, Option<&Pem<'_>>),
    faults: &mut Faults,
) -> Option<ServerConfig> {
    let chain = certificates(cert, faults);
    let key_der = PrivateKeyDer::from_pem_slice(&key.content);
    let key_der = key_der.map_err(|_| faults.at(key.said, "no private key is in it")).ok();
    let ca = match ca {
        Some(ca) => Some((ca, certificates(ca, faults)?)),
        None => None,
    };
    let crypto = Arc::new(provider.crypto);
    let clients = clients(tls, ca, &crypto, faults)?;
    let builder = ServerConfig::builder_with_provider(crypto);
    let builder = match builder.with_protocol_versions(&provider.versions) {
        Ok(builder) => builder,
        Err(error) => {
            faults.at(cert.said, error.to_string());
            return None;
        }
    };
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::new(clients)),
        None => builder.with_no_client_auth(),
    };
    let mut config = match builder.with_single_cert(chain?, key_der?) {
        Ok(config) => config,
        Err(error) => {
            faults.at(key.said, format!("certificate and key cannot be used: {error}"));
            return None;
        }
    };
    config.ignore_client_order = tls.prefer_server_cipher_suites.unwrap_or(true);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(config)
}

fn certificates(pem: &Pem<'_>, faults: &mut Faults) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.content).collect();
    let all = all.ok().filter(|all| !all.is_empty());
    if all.is_none() {
        faults.at(pem.said, "no certificate is in it");
    }
    all
}

/// What is asked of clients; the outer None is where a line is bad, the inner where nothing is.
fn clients(
    tls: &Tls,
    ca: Option<(&Pem<'_>, Vec<CertificateDer<'static>>)>,
    crypto: &Arc<CryptoProvider>,
    faults: &mut Faults,
) -> Option<Option<Clients>> {
    let unsaid = || ca.as_ref().map(|(ca, _)| ca.said);
    let said = tls.client_auth_type.as_ref().filter(|it| !it.value.is_empty());
    let (mandatory, verifies) = match said.map_or("NoClientCert", |it| &*it.value) {
        "NoClientCert" => {
            if let Some(at) = unsaid() {
                faults.at(at, "there is a client_ca, but no client_auth_type");
                return None;
            }
            // Whose certificate is not asked for cannot be judged by it.
            let Some(sans) = &tls.client_allowed_sans else { return Some(None) };
            faults.at(sans.first()?, "client_allowed_sans needs a client_auth_type");
            return None;
        }
        "RequestClientCert" => (false, false),
        "RequireAnyClientCert" | "RequireClientCert" => (true, false),
        "VerifyClientCertIfGiven" => (false, true),
        "RequireAndVerifyClientCert" => (true, true),
        other => {
            faults.at(said?, format!("there is no client_auth_type {other}"));
            return None;
        }
    };
    let verified = match (verifies, ca) {
        (false, _) => None,
        (true, None) => {
            faults.at(said?, "it needs a client_ca_file to verify by");
            return None;
        }
        (true, Some((at, certificates))) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates {
                if let Err(error) = roots.add(certificate) {
                    faults.at(at.said, format!("a certificate cannot be used: {error}"));
                    return None;
                }
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), crypto.clone());
            let verifier = verifier.build();
            verifier.map_err(|error| faults.at(at.said, error.to_string())).ok().map(Some)?
        }
    };
    let sans = tls.client_allowed_sans.as_ref();
    let sans = sans.map(|sans| sans.iter().map(|san| san.value.clone()).collect());
    Some(Some(Clients {
        verified,
        algorithms: crypto.signature_verification_algorithms,
        // A name can only be allowed of who has one.
        mandatory: mandatory || sans.is_some(),
        sans,
    }))
}

/// What a client's certificate must be.
#[derive(Debug)]
struct Clients {
    /// Whether it has to come from an authority; else any will do whose key the client has.
    verified: Option<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
    mandatory: bool,
    /// One of these has to be among its alternative names.
    sans: Option<Vec<String>>,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verified.as_ref().map_or(&[], |it| it.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(verified) = &self.verified {
            verified.verify_client_cert(certificate, intermediates, now)?;
        }
        let allowed = |sans: &Vec<String>| {
            let names = alternative_names(certificate).unwrap_or_default();
            names.iter().any(|name| sans.contains(name))
        };
        if self.sans.as_ref().is_none_or(allowed) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
