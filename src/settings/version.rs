//! The version of HTTP that a source speaks.

/// The version of HTTP that a source speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum HttpVersion {
    /// HTTP/1.1, which costs less where each source has a connection of its
    /// own; HTTP/2 with a server that speaks nothing else over TLS. On a loop,
    /// where sources share connections, whichever the server prefers over TLS.
    Auto = 0,
    /// HTTP/1.1 and nothing else.
    _1_1 = 1,
    /// HTTP/2 and nothing else: with https URLs as TLS agrees on it, with
    /// http URLs from the first byte.
    _2 = 2,
}

impl HttpVersion {
    /// The version that has this number, if the library was built with it.
    pub(crate) fn from_raw(number: i32) -> Option<HttpVersion> {
        let known = match cfg!(feature = "http2") {
            true => {
                &[HttpVersion::Auto, HttpVersion::_1_1, HttpVersion::_2][..]
            }
            false => &[HttpVersion::Auto, HttpVersion::_1_1],
        };
        known.iter().copied().find(|version| *version as i32 == number)
    }
}
