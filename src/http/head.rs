//! The head of a response, read as browsers read it: tolerant of what servers
//! get wrong, and of nothing that could be read in two ways.
//!
//! ureq's parser takes 128 headers, each in perfect order, and refuses the
//! whole response otherwise.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::error::Error;
use crate::failure::Failure;
use crate::response::{HTTP_1_0, HTTP_1_1, Response};
use crate::url::HttpUrl;

/// The most bytes that the head of a response may have, together with those
/// of the interim responses before it. Browsers take as much.
pub(crate) const LIMIT: usize = 256 * 1024;

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Head {
    /// Up to three digits: a server may write a number below 100.
    pub(crate) status: u16,
    pub(crate) http_version: u8,
    pub(crate) headers: HeaderMap,
}

impl Head {
    /// Whether the server keeps the connection open after the response (RFC
    /// 9112, 9.3).
    pub(crate) fn keeps_the_connection(&self) -> bool {
        let says_close = |value: &HeaderValue| {
            let mut options = value.as_bytes().split(|byte| *byte == b',');
            options.any(|it| it.trim_ascii().eq_ignore_ascii_case(b"close"))
        };
        self.http_version == HTTP_1_1
            && self.status != 101
            && !self.headers.get_all(header::CONNECTION).iter().any(says_close)
    }

    /// The response that comes from `url`.
    pub(crate) fn of(self, url: HttpUrl) -> Response {
        let Head { status, http_version, headers } = self;
        Response { status, http_version, url, headers }
    }
}

/// How many bytes of empty lines come before the head: a server may have ended
/// its last response with one too many (RFC 9112, 2.2).
pub(crate) fn empty_lines(received: &[u8]) -> usize {
    let mut rest = received;
    while let [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] = rest {
        rest = after;
    }
    received.len() - rest.len()
}

/// The length of the head that `received` begins with, up to its empty line;
/// nothing if there is more to come. The first `seen` bytes were there
/// when this was last asked.
pub(crate) fn length(
    received: &[u8],
    seen: usize,
) -> Result<Option<usize>, Failure> {
    const NAME: &[u8] = b"HTTP/";

    let name = &received[..received.len().min(NAME.len())];
    // Half of an empty line, perhaps.
    if *name != *b"\r" && !name.eq_ignore_ascii_case(&NAME[..name.len()]) {
        return Err(bad("the response is not HTTP"));
    }
    // An empty line may have been cut after its LF, or after its CR.
    let mut from = seen.saturating_sub(2);
    while let Some(found) = find(&received[from..], b'\n') {
        from += found + 1;
        match &received[from..] {
            [b'\n', ..] => return Ok(Some(from + 1)),
            [b'\r', b'\n', ..] => return Ok(Some(from + 2)),
            _ => {}
        }
    }
    Ok(None)
}

/// Reads a whole head.
pub(crate) fn read(head: &[u8]) -> Result<Head, Failure> {
    // Refused, as browsers do: programs disagree about where a line with a lone
    // CR ends, and what one of them takes for a value another takes for a
    // header.
    let lone_cr = head.windows(2).any(|two| two[0] == b'\r' && two[1] != b'\n');
    if lone_cr || find(head, 0).is_some() {
        return Err(bad("a NUL or a lone CR in the head of the response"));
    }
    let mut lines = head
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty());
    let status = lines.next().and_then(status);
    let (status, http_version) =
        status.ok_or_else(|| bad("bad status line in the response"))?;
    let mut headers = HeaderMap::new();
    let mut last = None;
    for line in lines {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            // What goes on from a line that is no header is none either.
            if let Some((_, value)) = &mut last {
                unfold(value, line.trim_ascii());
            }
            continue;
        }
        if let Some((name, value)) = last.take() {
            keep(&mut headers, name, value)?;
        }
        last = header(line);
    }
    if let Some((name, value)) = last {
        keep(&mut headers, name, value)?;
    }
    Ok(Head { status, http_version, headers })
}

fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

/// The status and the version of a status line (RFC 9112, 4).
fn status(line: &[u8]) -> Option<(u16, u8)> {
    // "HTTP/", in whatever case, has been seen to.
    let [major, b'.', minor, rest @ ..] = line.get(5..)? else { return None };
    let blank = rest.first().is_some_and(|byte| is_blank(*byte));
    if !major.is_ascii_digit() || !minor.is_ascii_digit() || !blank {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, reason) = rest.split_at(digits);
    let ends = reason.first().is_none_or(|byte| is_blank(*byte));
    if digits.len() > 3 || !ends {
        return None;
    }
    let status = str::from_utf8(digits).ok()?.parse().ok()?;
    // RFC 9110, 2.5: what comes over this connection is HTTP/1.1, whatever
    // higher number a server writes.
    let version = match (major, minor) {
        (b'0', _) | (b'1', b'0') => HTTP_1_0,
        _ => HTTP_1_1,
    };
    Some((status, version))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Name and value of a header line, if it is one. Browsers pass over what is
/// none, and over blanks before the colon.
fn header(line: &[u8]) -> Option<(HeaderName, Vec<u8>)> {
    let colon = find(line, b':')?;
    let name = line[..colon].trim_ascii_end();
    let name = HeaderName::from_bytes(name).ok()?;
    Some((name, line[colon + 1..].trim_ascii().to_vec()))
}

/// RFC 9112, 5.2: a value goes on in the next line as if behind a blank.
fn unfold(value: &mut Vec<u8>, more: &[u8]) {
    if !value.is_empty() && !more.is_empty() {
        value.push(b' ');
    }
    value.extend_from_slice(more);
}

/// Adds a header, unless no program could be given its value.
pub(crate) fn keep(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: Vec<u8>,
) -> Result<(), Failure> {
    let value = match name {
        header::LOCATION => escaped(&value),
        _ => value,
    };
    let Ok(value) = HeaderValue::try_from(value) else {
        // Browsers see control characters in a value, and no meaning in it.
        return match name {
            header::CONTENT_LENGTH | header::TRANSFER_ENCODING => {
                Err(bad("a control character in the framing of the response"))
            }
            _ => Ok(()),
        };
    };
    let kept = headers.try_append(name, value);
    kept.map(drop).map_err(|_| bad("too many headers in the response"))
}

/// Control characters as the URL Standard writes them; it knows what to do
/// about a tab.
fn escaped(location: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(location.len());
    for byte in location {
        match byte {
            b'\t' => escaped.push(b'\t'),
            byte if byte.is_ascii_control() => {
                escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
            byte => escaped.push(*byte),
        }
    }
    escaped
}

fn bad(message: &str) -> Failure {
    Failure::new(Error::Http, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is mutated: as much of what a head can hold as fits.
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nD :e\n\tf\r\n\
        none\r\nContent-Length: 1\r\nLocation: /\x01\xff\r\n\r\nbody\n\n";

    /// Some head, near to one that is in order.
    fn mutated(random: &mut fastrand::Rng) -> Vec<u8> {
        let mut head = HEAD.to_vec();
        for _ in 0..random.usize(..4) {
            let place = random.usize(..head.len());
            let byte = *random.choice(b"\r\n\0\t :,xH\x7f\xff").unwrap();
            match random.u8(..3) {
                0 => head[place] = byte,
                1 => head.insert(place, byte),
                _ => drop(head.remove(place)),
            }
        }
        head
    }

    /// However a head is cut, its end is found where it is, and whatever is
    /// in it, it is read or refused.
    #[test]
    fn a_head_is_found_and_read_however_it_comes() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut read = 0;
        for _ in 0..20_000 {
            let bytes = mutated(&mut random);
            let whole = length(&bytes, 0).ok();
            let mut seen = 0;
            let pieces = loop {
                let more = (seen + 1 + random.usize(..9)).min(bytes.len());
                match length(&bytes[..more], seen) {
                    Ok(None) if more < bytes.len() => seen = more,
                    pieces => break pieces.ok(),
                }
            };
            assert_eq!(pieces, whole, "{}", bytes.escape_ascii());
            let Some(Some(length)) = whole else { continue };
            if let Ok(head) = super::read(&bytes[..length]) {
                assert!(head.status < 1000);
                read += 1;
            }
        }
        assert!(read > 10_000, "{read} were in order");
    }
}
