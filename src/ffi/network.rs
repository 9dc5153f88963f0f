//! How a source reaches its server, and whom it trusts:
//! eventsource_set_proxy(3).

use std::ffi::{c_char, c_int};

use super::convert::{self, flag, guard, optional};
use super::source::{CSource, handle, set};
use crate::error::Error;
use crate::net::trust::{CaFile, Identity};

/// Sets the proxy to go through, `scheme://user:password@host:port`; NULL or
/// an empty text for none.
///
/// The scheme is `http`, also if there is none, `https` (HTTP over TLS),
/// `socks4`, `socks4a`, `socks5` or `socks5h`; those with a letter behind
/// their number leave the look-up of the server's name to the proxy. User,
/// password and port may be left out; the port is then 80, 443 or 1080. An
/// HTTP proxy is asked in the place of an http server, and for a tunnel
/// (CONNECT) to an https one. User and password go to the proxy and to
/// nobody else, and are in no message.
///
/// Without this call, eventsource_connect() looks at the environment:
/// `http_proxy` for http URLs, `https_proxy` for https URLs, `all_proxy` for
/// those that have none of these; `no_proxy` lists, with commas, the hosts
/// to connect to directly: names, which stand for the names below them, too,
/// IP addresses, networks such as `10.0.0.0/8`, each but the last also with
/// a port, or `*` for all. The names of these variables may be in capitals,
/// but for `HTTP_PROXY` in a CGI program, where a client can set it.
///
/// EVENTSOURCE_ERROR_URL if it is no URL of a proxy,
/// EVENTSOURCE_ERROR_SCHEME if the scheme is another one. To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_proxy(
    source: *mut CSource,
    url: *const c_char,
) -> Error {
    guard(|| {
        let (handle, url) = (handle(source)?, optional(url)?);
        let url = url.unwrap_or_default();
        handle.set(|setup| setup.options.network().set_proxy(url))
    })
}

/// Sets a Unix socket to connect to, whatever the host of the URL is; NULL
/// for none, the default.
///
/// No name is looked up then and no proxy asked; the host still goes into
/// the request, and an https server's certificate is to be for it. Redirects
/// lead to the same socket. On Linux `@name` is the socket of that name in
/// the abstract namespace, which has no file; `./@name` is a file.
/// EVENTSOURCE_ERROR_VALUE if the path is empty or too long for the system
/// (107 bytes on Linux, the `@` not counted). To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_unix_socket(
    source: *mut CSource,
    path: *const c_char,
) -> Error {
    guard(|| {
        let (handle, path) = (handle(source)?, convert::path(path));
        handle.set(|setup| setup.options.network().set_unix_socket(path))
    })
}

/// Sets the file with the certificates of the authorities to trust, in PEM,
/// in the place of the system's.
///
/// This call reads the file. If the file has changed before a later attempt,
/// it is read again; if the new content is of no use, the log says so, and
/// the old content stays in force. A server's certificate that is itself in
/// the file, such as a self-signed one, is trusted too, for the names in it.
///
/// NULL, the default, brings the system's trust store back, which is read
/// again likewise. When the process first needs the store, the environment's
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` say where it is; without these it is
/// looked for in the usual places.
///
/// EVENTSOURCE_ERROR_FILE if the file cannot be read, or is a directory;
/// EVENTSOURCE_ERROR_CERTIFICATE if there is no certificate in it, or text
/// that is broken. To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_ca_file(
    source: *mut CSource,
    path: *const c_char,
) -> Error {
    guard(|| {
        let (handle, path) = (handle(source)?, convert::path(path));
        handle.check_settable()?;
        // Without the settings' lock: a log callback may set something.
        let file = path.map(CaFile::read).transpose()?;
        set(source, |setup| {
            setup.options.network().trust.set_authorities(file);
        })
    })
}

/// Sets the certificate that the program shows to a server, or to a proxy,
/// that asks for one, and the private key of it.
///
/// Both files are in PEM, and may be the same; they are read by this call,
/// and again when they have changed, as with eventsource_set_ca_file(). The
/// first certificate is the program's, others lead from it to an authority.
/// The key is not encrypted. NULL twice takes the certificate
/// away; there is none by default.
///
/// EVENTSOURCE_ERROR_FILE if a file cannot be read,
/// EVENTSOURCE_ERROR_CERTIFICATE if there is no certificate in the one, or a
/// broken one, EVENTSOURCE_ERROR_PRIVATE_KEY if there is no key in the
/// other, or one that does not match the certificate; EVENTSOURCE_ERROR_NULL
/// if only one is NULL. To be set before eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_client_certificate(
    source: *mut CSource,
    cert_path: *const c_char,
    key_path: *const c_char,
) -> Error {
    guard(|| {
        let handle = handle(source)?;
        let identity = match (convert::path(cert_path), convert::path(key_path))
        {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                handle.check_settable()?;
                Some(Identity::read(certificate, key)?)
            }
            _ => return Err(Error::Null),
        };
        set(source, |setup| {
            setup.options.network().trust.set_identity(identity);
        })
    })
}

/// Sets whether the certificate of an https server is checked: 1, the
/// default, or 0.
///
/// With 0 every certificate is taken, whatever its version, names, dates and
/// issuer; that the server has the private key of it is still checked, unless
/// the key is of a kind or size that this library does not know. Whoever sits
/// between the program and the server can read and change everything;
/// eventsource_set_ca_file() is what a server with a certificate of its own
/// needs. It holds for https proxies, too.
/// EVENTSOURCE_ERROR_VALUE for another number. To be set before
/// eventsource_connect().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_verify_peer(
    source: *mut CSource,
    verify: c_int,
) -> Error {
    guard(|| {
        let verify = flag(verify)?;
        set(source, |setup| {
            setup.options.network().trust.set_verify_peer(verify);
        })
    })
}
