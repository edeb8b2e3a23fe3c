//! Whom a target's certificate may be signed by: the authorities that the platform trusts, and those that its configuration adds.

use std::sync::LazyLock;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Read once: they are some hundreds in a file or a directory of the system, and change with its updates.
static PLATFORM: LazyLock<RootCertStore> = LazyLock::new(platform);

/// TLS that trusts the platform's authorities and those in `ca`, as PEM.
pub(super) fn tls(ca: Option<&[u8]>) -> ClientConfig {
    let mut roots = PLATFORM.clone();
    // They were found to be readable when the configuration was checked.
    let own = ca.map(|pem| CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
    roots.add_parsable_certificates(own.into_iter().flatten());
    ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

fn platform() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, left) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        // Small images have none. These are Mozilla's, as they were when this program was built.
        tracing::warn!("the platform names no authorities to trust; those that were built in are taken");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    tracing::debug!(taken, left, unread = found.errors.len(), "authorities of the platform");
    roots
}
