//! What can go wrong, as numbers that programs compare.

use std::ffi::CStr;

/// What went wrong, as a number that programs can compare.
///
/// Numbers 1 to 12 come mostly from calls, 13 to 23 mostly from connections.
/// Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum Error {
    /// No error. As the reason of a close: the program closed the source.
    None = 0,
    /// A required argument is NULL.
    Null = 1,
    /// A text is not UTF-8.
    Utf8 = 2,
    /// A text is not an absolute URL, or not the URL of a proxy.
    Url = 3,
    /// The scheme of a URL is neither http nor https; for a proxy, it is
    /// unknown.
    Scheme = 4,
    /// HTTP cannot carry the header, or the header belongs to the library.
    Header = 5,
    /// The function does not accept this number or text.
    Value = 6,
    /// The source has been connected, so that its settings are final.
    AlreadyConnected = 7,
    /// The source has not been connected.
    NotConnected = 8,
    /// The source is CLOSED.
    Closed = 9,
    /// The function cannot be called inside a callback of the same object.
    Callback = 10,
    /// A time limit has passed: for a wait, for connecting, for the response's
    /// headers, or between two bytes of the stream.
    Timeout = 11,
    /// The system is out of threads, descriptors or memory.
    System = 12,

    /// The host name was not found.
    Resolve = 13,
    /// No connection could be made to any of the host's addresses.
    Connect = 14,
    /// No secure connection could be made: the certificate was refused, or the
    /// handshake broke off.
    Tls = 15,
    /// The response is not HTTP, or its head is too large.
    Http = 16,
    /// A redirect cannot be followed, or there were too many redirects.
    Redirect = 17,
    /// The response's status is not 200. With 204 the server tells the source
    /// to stop.
    Status = 18,
    /// The response is not an event stream.
    ContentType = 19,
    /// The connection was lost before the response came, or the stream broke
    /// off, or the stream ended inside an event, which was dropped.
    Lost = 20,
    /// The stream ended in good order. If the source does not ask for it
    /// again, that is no failure: only `on_close` is called.
    Ended = 21,
    /// An event over the size limit, or over what memory there was, was
    /// dropped. The stream goes on.
    TooLarge = 22,
    /// The library has a defect.
    Internal = 23,

    /// A file cannot be read.
    File = 24,
    /// A file holds no certificate in PEM, or a broken one.
    Certificate = 25,
    /// A file holds no unencrypted private key in PEM, or one that does not
    /// match the certificate.
    PrivateKey = 26,
    /// The proxy refuses, or does not answer as a proxy does.
    Proxy = 27,

    /// The call is for sources with a queue, and this source has none, or the
    /// other way round.
    Queue = 28,
    /// Another thread is inside this call.
    Busy = 29,

    /// The program has aborted the attempt before it was made.
    Aborted = 30,
    /// The program has refused the response.
    Refused = 31,
}

/// Makes of one table the list of all errors, and their texts. An error that
/// the table leaves out does not compile.
macro_rules! texts {
    ($($error:ident: $text:literal,)*) => {
        impl Error {
            const ALL: &[Error] = &[$(Error::$error,)*];

            /// What the number means, in a few words.
            pub(crate) fn text(self) -> &'static CStr {
                match self {
                    $(Error::$error => $text,)*
                }
            }
        }
    };
}

texts! {
    None: c"no error",
    Null: c"a required argument is NULL",
    Utf8: c"text is not UTF-8",
    Url: c"not an absolute URL",
    Scheme: c"unsupported URL scheme",
    Header: c"not a header that can be set",
    Value: c"value out of range",
    AlreadyConnected: c"the source has been connected",
    NotConnected: c"the source has not been connected",
    Closed: c"the source is closed",
    Callback: c"not allowed in a callback of the same object",
    Timeout: c"timed out",
    System: c"out of threads, descriptors or memory",
    Resolve: c"host name not found",
    Connect: c"no connection to the host",
    Tls: c"no secure connection",
    Http: c"invalid HTTP response",
    Redirect: c"redirect not followed",
    Status: c"unexpected status",
    ContentType: c"not an event stream",
    Lost: c"connection lost",
    Ended: c"the stream has ended",
    TooLarge: c"event over the size limit",
    Internal: c"defect of the library",
    File: c"file cannot be read",
    Certificate: c"no valid certificate in the file",
    PrivateKey: c"no private key that matches",
    Proxy: c"no connection through the proxy",
    Queue: c"not for a source in this mode",
    Busy: c"another thread is inside this call",
    Aborted: c"attempt aborted by the program",
    Refused: c"response refused by the program",
}

impl Error {
    /// The error that has this number.
    pub(crate) fn from_raw(number: i32) -> Option<Error> {
        Error::ALL.iter().copied().find(|error| *error as i32 == number)
    }
}
