//! What can go wrong, as numbers that programs compare.

use std::ffi::CStr;

/// What went wrong, as a number that programs can compare.
///
/// The first group comes from calls, the second from connections, the third
/// from either. Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum Error {
    /// Nothing went wrong. As the reason of a close: the program closed the
    /// source.
    None = 0,
    /// An argument that is needed is NULL.
    Null = 1,
    /// A text is not UTF-8.
    Utf8 = 2,
    /// Not an absolute URL.
    Url = 3,
    /// The URL's scheme is neither http nor https; of a proxy, none that is
    /// known.
    Scheme = 4,
    /// A header that HTTP cannot carry, or that belongs to the library.
    Header = 5,
    /// A number or a text that the call cannot take.
    Value = 6,
    /// The source has been connected: its settings stand.
    AlreadyConnected = 7,
    /// The source has not been connected.
    NotConnected = 8,
    /// The source is closed.
    Closed = 9,
    /// The call cannot be made inside a callback of the same object.
    Callback = 10,
    /// The time is over: of a wait, for connecting, for the response's
    /// headers, or between two bytes of the stream.
    Timeout = 11,
    /// The system has no thread, descriptor or memory to give.
    System = 12,

    /// The host name was not found.
    Resolve = 13,
    /// No connection to any of the host's addresses.
    Connect = 14,
    /// No secure connection: the certificate was refused, or the handshake
    /// broke.
    Tls = 15,
    /// The response is not HTTP, or its head is too large.
    Http = 16,
    /// A redirect that cannot be followed, or too many of them.
    Redirect = 17,
    /// The response's status is not 200. 204 is the server's way to say
    /// that the source is to stop.
    Status = 18,
    /// The response is not an event stream.
    ContentType = 19,
    /// The connection was lost before the response came, or the stream has
    /// ended or broken off.
    Lost = 20,
    /// The stream has ended in good order, and is not asked for again. Only
    /// the reason of a close: `on_error` is not called for it.
    Ended = 21,
    /// An event over the size limit was dropped. The stream goes on.
    TooLarge = 22,
    /// A defect of the library.
    Internal = 23,

    /// A file cannot be read.
    File = 24,
    /// A file holds no certificate in PEM, or a broken one.
    Certificate = 25,
    /// A file holds no private key in PEM that is not encrypted, or one that
    /// does not match the certificate.
    PrivateKey = 26,
    /// A proxy refuses, or does not answer as a proxy does.
    Proxy = 27,

    /// The call is for sources with a queue, or for those without.
    Queue = 28,
    /// Another thread is inside this call.
    Busy = 29,
}

impl Error {
    const ALL: [Error; 30] = [
        Error::None,
        Error::Null,
        Error::Utf8,
        Error::Url,
        Error::Scheme,
        Error::Header,
        Error::Value,
        Error::AlreadyConnected,
        Error::NotConnected,
        Error::Closed,
        Error::Callback,
        Error::Timeout,
        Error::System,
        Error::Resolve,
        Error::Connect,
        Error::Tls,
        Error::Http,
        Error::Redirect,
        Error::Status,
        Error::ContentType,
        Error::Lost,
        Error::Ended,
        Error::TooLarge,
        Error::Internal,
        Error::File,
        Error::Certificate,
        Error::PrivateKey,
        Error::Proxy,
        Error::Queue,
        Error::Busy,
    ];

    /// The error that has this number.
    pub(crate) fn from_raw(number: i32) -> Option<Error> {
        Error::ALL.into_iter().find(|error| *error as i32 == number)
    }

    /// What the number means, in a few words.
    pub(crate) fn text(self) -> &'static CStr {
        match self {
            Error::None => c"no error",
            Error::Null => c"a needed argument is NULL",
            Error::Utf8 => c"text is not UTF-8",
            Error::Url => c"not an absolute URL",
            Error::Scheme => c"the URL's scheme is not one of those supported",
            Error::Header => c"not a header that can be set",
            Error::Value => c"value out of range",
            Error::AlreadyConnected => c"the source has been connected",
            Error::NotConnected => c"the source has not been connected",
            Error::Closed => c"the source is closed",
            Error::Callback => c"not inside a callback of the same object",
            Error::Timeout => c"the time is over",
            Error::System => c"out of threads, descriptors or memory",
            Error::Resolve => c"host name not found",
            Error::Connect => c"no connection",
            Error::Tls => c"no secure connection",
            Error::Http => c"broken HTTP response",
            Error::Redirect => c"redirect not followed",
            Error::Status => c"unexpected status",
            Error::ContentType => c"not an event stream",
            Error::Lost => c"connection lost",
            Error::Ended => c"the stream has ended",
            Error::TooLarge => c"event over the size limit",
            Error::Internal => c"defect of the library",
            Error::File => c"file cannot be read",
            Error::Certificate => c"no certificate in the file",
            Error::PrivateKey => c"no private key that matches",
            Error::Proxy => c"no way through the proxy",
            Error::Queue => c"the other way to get events was chosen",
            Error::Busy => c"another thread is inside this call",
        }
    }
}
