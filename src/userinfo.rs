//! User and password of a URL, and how HTTP sends them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

/// User and password, decoded: bytes, as they go over the wire.
#[derive(Clone, PartialEq)]
pub(crate) struct UserInfo {
    pub(crate) name: Vec<u8>,
    pub(crate) password: Vec<u8>,
}

impl UserInfo {
    /// That of a URL, if it has any.
    pub(crate) fn of(url: &Url) -> Option<UserInfo> {
        if url.username().is_empty() && url.password().is_none() {
            return None;
        }
        let password = url.password().unwrap_or_default();
        Some(UserInfo {
            name: percent_decode_str(url.username()).collect(),
            password: percent_decode_str(password).collect(),
        })
    }

    /// The value of `Authorization` or `Proxy-Authorization` (RFC 7617).
    pub(crate) fn basic_authorization(&self) -> HeaderValue {
        let pair = [&self.name, &b":"[..], &self.password].concat();
        let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
        let mut value = HeaderValue::try_from(value).expect("base64 is ASCII");
        value.set_sensitive(true);
        value
    }
}
