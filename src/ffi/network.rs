//! How a source reaches its server, and whom it trusts:
//! eventsource_set_proxy(3).

use std::ffi::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;

use super::convert::{self, flag, optional_name};
use super::source::{CSource, setting};
use crate::error::Error;
use crate::memory;
use crate::net::interface::Interface;
use crate::net::pins::Pins;
use crate::net::trust::{Ca, Identity, Name};
use crate::settings::version::HttpVersion;

/// Sets the proxy to go through, `scheme://user:password@host:port`; an empty
/// text for no proxy; NULL, the default, for the environment's.
///
/// The scheme is `http`, which is the default, `https` (HTTP over TLS),
/// `socks4`, `socks4a`, `socks5` or `socks5h`. With `socks4a` and `socks5h` the
/// proxy looks up the server's name. User name, password and port may be left
/// out; the port is then 80, 443 or 1080. An HTTP proxy is sent the request
/// itself if the server is http, and is asked for a tunnel (CONNECT) if it is
/// https. User name and password go to the proxy and to nobody else, and are in
/// no message.
///
/// The environment's variables, which eventsource_connect() reads, are
/// `http_proxy` for http URLs, `https_proxy` for https URLs, and `all_proxy`
/// where the one for the scheme is missing. `no_proxy` lists, with commas, the
/// hosts to connect to directly: names, which stand for the names below them,
/// too, IP addresses, both also with a port, networks such as `10.0.0.0/8`, or
/// `*` for all hosts. The names of these variables may be in capitals, except
/// for `HTTP_PROXY` in a CGI program, where a client can set it. In these
/// variables `socks://` is SOCKS4. They do not hold for loopback hosts:
/// `localhost`, names below it, 127.0.0.0/8 and ::1.
///
/// EVENTSOURCE_ERROR_URL if `url` is not the URL of a proxy,
/// EVENTSOURCE_ERROR_SCHEME if its scheme is another one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_proxy(
    source: *mut CSource,
    url: *const c_char,
) -> Error {
    setting(source, "eventsource_set_proxy", |handle| {
        let url = optional_name(url)?;
        handle.set(|setup| setup.options.network().set_proxy(url))
    })
}

/// Sets a Unix socket to connect to, whatever the host of the URL is; NULL, the
/// default, for none.
///
/// With it the source looks up no name and asks no proxy. The host still goes
/// into the request, and an https server's certificate must be for that host.
/// Redirects lead to the same socket. On Linux `@name` is the socket of that
/// name in the abstract namespace, which has no file; `./@name` is a file.
/// EVENTSOURCE_ERROR_VALUE if the path is empty or too long for the system
/// (over 107 bytes on Linux, the `@` not counted).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_unix_socket(
    source: *mut CSource,
    path: *const c_char,
) -> Error {
    setting(source, "eventsource_set_unix_socket", |handle| {
        let path = convert::path(path);
        handle.set(|setup| setup.options.network().set_unix_socket(path))
    })
}

/// Sets the network interface that connections go out over: its name, such as
/// `eth0`, or an address of this machine, such as `192.0.2.7`; NULL, the
/// default, lets the system choose.
///
/// It is for the connections to servers and to proxies, and has no effect on
/// look-ups of names, nor on a Unix socket. If `interface` is a name, sockets
/// are bound to that interface (SO_BINDTODEVICE); if it is an address, to the
/// address. Linux before 5.7 lets only root bind a socket to an interface:
/// other users' sockets are then bound to an address of the interface. With an
/// address, the system's routes decide which way packets go.
///
/// A link-local address, as in `http://[fe80::1]/`, is the address of a machine
/// on one link, and a URL cannot say which. The source uses the link of this
/// interface; without an interface it cannot connect.
///
/// An interface or address that this machine does not have, or an interface
/// without an address of the server's kind, fails the attempt with
/// EVENTSOURCE_ERROR_CONNECT: it may come up later. EVENTSOURCE_ERROR_VALUE if
/// `interface` can be neither a name nor an address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_interface(
    source: *mut CSource,
    interface: *const c_char,
) -> Error {
    setting(source, "eventsource_set_interface", |handle| {
        let interface = optional_name(interface)?;
        let interface = interface.map(Interface::parse).transpose()?;
        handle.set(|setup| {
            setup.options.network().interface = interface;
            Ok(())
        })
    })
}

/// Sets the file with the certificates of the authorities to trust, in PEM, in
/// the place of the system's trust store.
///
/// This call reads the file. If the file has changed before a later attempt,
/// the source reads the file again; if the new content is of no use, the log
/// says so, and the old content stays in force. A server's certificate that is
/// itself in the file is trusted for the names in it, so that a self-signed
/// certificate can be used.
///
/// NULL, the default, restores the system's trust store, which is read again
/// likewise. When the process first needs the store, the environment's
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` say where the store is; without them the
/// library looks in the usual places.
///
/// EVENTSOURCE_ERROR_FILE if the file cannot be read, or is a directory;
/// EVENTSOURCE_ERROR_CERTIFICATE if the file holds no certificate, or broken
/// text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_ca_file(
    source: *mut CSource,
    path: *const c_char,
) -> Error {
    setting(source, "eventsource_set_ca_file", |handle| {
        let path = convert::path(path);
        handle.check_settable()?;
        // Without the settings' lock: a log callback may set something.
        let file = path.map(Ca::in_file).transpose()?;
        handle.set_trust(|trust| trust.set_authorities(file))
    })
}

/// Sets the certificates of the authorities to trust as a text in PEM, in the
/// place of the system's trust store: for a program that holds them in itself,
/// or has them from elsewhere than a file.
///
/// The certificates count as those of eventsource_set_ca_file() do, and of the
/// two calls the later one holds. NULL, the default, restores the system's trust
/// store. (A descriptor of memory, `/proc/self/fd/N`, is no good path for that
/// call: it is looked at again before each attempt, and N may be another file by
/// then.)
///
/// EVENTSOURCE_ERROR_CERTIFICATE if the text holds no certificate, or a broken
/// one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_ca_pem(
    source: *mut CSource,
    pem: *const c_char,
) -> Error {
    setting(source, "eventsource_set_ca_pem", |handle| {
        // Not in UTF-8 only: there may be comments between the certificates.
        let pem = convert::path(pem).map(|it| it.as_os_str().as_bytes());
        handle.check_settable()?;
        // What is read of it is smaller than the text; and twice, for a while.
        if !memory::is_there(2 * pem.map_or(0, <[u8]>::len)) {
            return Err(Error::System);
        }
        // Without the settings' lock: a log callback may set something.
        let authorities = pem.map(Ca::in_text).transpose()?;
        handle.set_trust(|trust| trust.set_authorities(authorities))
    })
}

/// Sets the certificate that the program shows to a server, or to a proxy, that
/// asks for one, and the certificate's private key.
///
/// Both files are in PEM, and may be the same. This call reads them, and the
/// source reads them again when they have changed, as with
/// eventsource_set_ca_file(). The first certificate is the program's, others
/// lead from it to an authority. The key must not be encrypted. NULL for both,
/// the default, removes the certificate.
///
/// EVENTSOURCE_ERROR_FILE if a file cannot be read;
/// EVENTSOURCE_ERROR_CERTIFICATE if the first file holds no certificate, or a
/// broken one; EVENTSOURCE_ERROR_PRIVATE_KEY if the second file holds no key,
/// or one that does not match the certificate; EVENTSOURCE_ERROR_NULL if only
/// one is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_client_certificate(
    source: *mut CSource,
    cert_path: *const c_char,
    key_path: *const c_char,
) -> Error {
    setting(source, "eventsource_set_client_certificate", |handle| {
        let identity = match (convert::path(cert_path), convert::path(key_path))
        {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                handle.check_settable()?;
                Some(Identity::read(certificate, key)?)
            }
            _ => return Err(Error::Null),
        };
        handle.set_trust(|trust| trust.set_identity(identity))
    })
}

/// Sets whether the certificates of https servers, and of https proxies, are
/// checked: 1, the default, for yes, 0 for no.
///
/// With 0 every certificate is accepted, whatever its version, names, dates
/// and issuer. The library still checks that the server has the certificate's
/// private key, unless the key is of a kind or size that the library does not
/// know. Without the check, whoever sits between the program and the server can
/// read and change everything. For a server with a certificate of its own, use
/// eventsource_set_ca_file() instead, or eventsource_set_pinned_key() besides.
/// EVENTSOURCE_ERROR_VALUE for another number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_verify_peer(
    source: *mut CSource,
    verify: c_int,
) -> Error {
    setting(source, "eventsource_set_verify_peer", |handle| {
        let verify = flag(verify)?;
        handle.set_trust(|trust| trust.set_verify_peer(verify))
    })
}

/// Sets the name that the certificate of the source's server must be for,
/// whatever the host of the URL is; NULL, the default, for the host itself.
///
/// For a server that is reached by another name than its own: by its address,
/// through a tunnel, or in a test. `name` is a DNS name or an IP address. A DNS
/// name is also sent to the server while TLS is set up (SNI, RFC 6066, 3), so
/// that a server with several certificates shows the right one. The source
/// still connects to the host of the URL, and the header `Host` still names
/// that host.
///
/// The name is for the origin of the source's URL, and for that of a URL which
/// eventsource_request_set_url() has set. Where a redirect leads to another
/// origin, the certificate must be for that origin's host; where it leads back,
/// the name holds again. An https proxy's certificate must be for the proxy's
/// host. With eventsource_set_verify_peer() 0 the name is sent, and not
/// checked.
///
/// EVENTSOURCE_ERROR_VALUE if `name` is neither a DNS name nor an IP address.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_server_name(
    source: *mut CSource,
    name: *const c_char,
) -> Error {
    setting(source, "eventsource_set_server_name", |handle| {
        let name = optional_name(name)?.map(Name::parse).transpose()?;
        handle.set_trust(|trust| trust.set_name(name))
    })
}

/// Sets the public keys of which the source's server must have one; NULL, the
/// default, for any key.
///
/// `keys` has the form that curl knows (CURLOPT_PINNEDPUBLICKEY): `sha256//` and
/// the Base64 of the SHA-256 of the certificate's SubjectPublicKeyInfo (RFC
/// 5280, 4.1.2.7); several keys are separated by `;`. A server with another key
/// fails the attempt with EVENTSOURCE_ERROR_TLS, and the message names the
/// server's key in the same form.
///
/// The certificate must be valid besides. With eventsource_set_verify_peer() 0
/// the key is all that counts: a server whose certificate is self-signed, or for
/// another name or none, can be followed securely. The server then always proves
/// that it has the key, and a key of a kind or size that the library does not
/// know is refused.
///
/// The keys are for the servers that eventsource_set_server_name() is for, and
/// these must be https: an attempt for an http URL fails likewise, and is not
/// made again. Other origins, if redirects lead there, and https proxies need
/// none of the keys. Once a key is pinned, their certificates must be valid,
/// whatever eventsource_set_verify_peer() says.
///
/// EVENTSOURCE_ERROR_VALUE if `keys` has another form.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_pinned_key(
    source: *mut CSource,
    keys: *const c_char,
) -> Error {
    setting(source, "eventsource_set_pinned_key", |handle| {
        let pins = optional_name(keys)?.map(Pins::parse).transpose()?;
        handle.set_trust(|trust| trust.set_pins(pins))
    })
}

/// Sets the version of HTTP that the source speaks. `version` is an
/// `eventsource_http`, EVENTSOURCE_HTTP_AUTO by default.
///
/// Over https the server is asked while TLS is set up (ALPN, RFC 7301). With
/// EVENTSOURCE_HTTP_AUTO a source with a thread of its own asks for HTTP/1.1,
/// connects once more for HTTP/2 if the server refuses that, and remembers so; a
/// source of a loop offers HTTP/2 and HTTP/1.1, and the server chooses. With
/// EVENTSOURCE_HTTP_1_1 and EVENTSOURCE_HTTP_2, a server without that version
/// fails the attempt with EVENTSOURCE_ERROR_TLS.
///
/// For http URLs EVENTSOURCE_HTTP_2 means that the server is known to speak it
/// (RFC 9113, 3.3): a server that answers in HTTP/1.1 fails the attempt with
/// EVENTSOURCE_ERROR_HTTP. A proxy for http URLs has no HTTP/2, and fails it
/// with EVENTSOURCE_ERROR_PROXY. Through the tunnels of other proxies, HTTP/2
/// goes as HTTP/1.1 does; proxies themselves are spoken to in HTTP/1.1.
///
/// Whatever the version, the callbacks are the same. A request over HTTP/2 that
/// the server has not looked at, and says so (RFC 9113, 8.7), is made once more
/// at once, whatever its method is. Sources of a loop share their connections
/// over HTTP/2, see eventsource_set_loop(); every other source has one of its
/// own.
///
/// EVENTSOURCE_ERROR_VALUE for another number, and for EVENTSOURCE_HTTP_2 if the
/// library was built without it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn eventsource_set_http_version(
    source: *mut CSource,
    version: c_int,
) -> Error {
    setting(source, "eventsource_set_http_version", |handle| {
        let version = HttpVersion::from_raw(version).ok_or(Error::Value)?;
        handle.set(|setup| {
            setup.options.http_version = version;
            Ok(())
        })
    })
}
