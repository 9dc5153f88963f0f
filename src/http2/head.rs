//! The head of a response over HTTP/2 (RFC 9113, 8.2 and 8.3). What makes one
//! malformed is refused: programs disagree about it, and what one of them
//! passes over another takes for a header.

use super::hpack::Field;

/// The head of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Names are in lower case.
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What belongs to HTTP/1.1's connections (RFC 9113, 8.2.2).
const OF_CONNECTIONS: [&[u8]; 5] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"transfer-encoding",
    b"upgrade",
];

impl Head {
    /// The head that a block's fields are; else why they are none.
    pub(super) fn of(fields: Vec<Field>) -> Result<Head, &'static str> {
        let mut fields = fields.into_iter().peekable();
        let mut status = None;
        while let Some((name, value)) =
            fields.next_if(|(name, _)| name.starts_with(b":"))
        {
            if name != b":status" || status.is_some() {
                return Err("a pseudo-header that no response has");
            }
            let digits = value.len() == 3
                && value.iter().all(u8::is_ascii_digit)
                && value[0] != b'0';
            if !digits {
                return Err("a status that is none");
            }
            status = str::from_utf8(&value).ok().and_then(|it| it.parse().ok());
        }
        let fields: Vec<_> = fields.collect();
        check(&fields)?;
        match status {
            // RFC 9113, 8.6: there is nothing to switch to.
            Some(101) => Err("status 101, which HTTP/2 has not"),
            Some(status) => Ok(Head { status, fields }),
            None => Err("no status"),
        }
    }

    /// How long the body is, if the head says so.
    pub(super) fn content_length(&self) -> Result<Option<u64>, &'static str> {
        const BAD: &str = "a bad content-length";

        let mut known = None;
        for (name, value) in &self.fields {
            if name != b"content-length" {
                continue;
            }
            // RFC 9110, 8.6: said several times it is one, if it is the same.
            for value in value.split(|byte| *byte == b',') {
                let length = number(value.trim_ascii()).ok_or(BAD)?;
                if known.replace(length).is_some_and(|it| it != length) {
                    return Err(BAD);
                }
            }
        }
        Ok(known)
    }
}

/// Decimal digits, and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

/// Whether trailers, or the fields of a head behind its pseudo-headers, are
/// what they may be.
pub(super) fn check(fields: &[Field]) -> Result<(), &'static str> {
    for (name, value) in fields {
        if name.is_empty() || !name.iter().all(|byte| is_in_a_name(*byte)) {
            return Err("a header whose name is none");
        }
        if OF_CONNECTIONS.contains(&&name[..]) {
            return Err("a header that is HTTP/1.1's alone");
        }
        // RFC 9113, 8.2.1.
        if value.iter().any(|byte| matches!(byte, b'\0' | b'\r' | b'\n'))
            || value.first().is_some_and(|byte| is_blank(*byte))
            || value.last().is_some_and(|byte| is_blank(*byte))
        {
            return Err("a header whose value is none");
        }
    }
    Ok(())
}

/// RFC 9113, 8.2.1: a token, in lower case. What begins with a colon is none.
fn is_in_a_name(byte: u8) -> bool {
    byte.is_ascii_lowercase()
        || byte.is_ascii_digit()
        || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)]) -> Result<Head, &'static str> {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let fields = fields.iter().map(|(n, v)| (bytes(n), bytes(v)));
        Head::of(fields.collect())
    }

    #[test]
    fn a_head_is_a_status_and_fields() {
        let read = head(&[(":status", "200"), ("a", "b c"), ("d", "")]);
        assert_eq!(read.as_ref().unwrap().status, 200);
        assert_eq!(read.unwrap().fields.len(), 2);
    }

    #[test]
    fn what_makes_a_head_malformed_is_refused() {
        for fields in [
            &[][..],
            &[("a", "b")],
            &[("a", "b"), (":status", "200")],
            &[(":status", "200"), (":status", "200")],
            &[(":status", "200"), (":path", "/")],
            &[(":status", "200"), ("", "b")],
            &[(":status", "200"), ("A", "b")],
            &[(":status", "200"), ("a b", "b")],
            &[(":status", "200"), ("a", "b\n")],
            &[(":status", "200"), ("a", " b")],
            &[(":status", "200"), ("a", "b\t")],
            &[(":status", "200"), ("a", "b\0c")],
            &[(":status", "200"), ("connection", "keep-alive")],
            &[(":status", "200"), ("keep-alive", "a")],
            &[(":status", "200"), ("proxy-connection", "a")],
            &[(":status", "200"), ("transfer-encoding", "chunked")],
            &[(":status", "200"), ("upgrade", "a")],
            &[(":status", "20")],
            &[(":status", "2000")],
            &[(":status", "+20")],
            &[(":status", "099")],
            &[(":status", "101")],
            &[(":status", "")],
        ] {
            assert!(head(fields).is_err(), "{fields:?}");
        }
    }

    #[test]
    fn a_length_is_one_number_however_often_it_is_said() {
        let length = |values: &[&str]| {
            let mut fields = vec![(":status", "200")];
            fields.extend(values.iter().map(|it| ("content-length", *it)));
            head(&fields).unwrap().content_length()
        };
        assert_eq!(length(&[]), Ok(None));
        assert_eq!(length(&["7"]), Ok(Some(7)));
        assert_eq!(length(&["7", "7, 7"]), Ok(Some(7)));
        for bad in [&["7", "8"][..], &["-1"], &["+1"], &["7x"], &[""], &["7,"]]
        {
            assert!(length(bad).is_err(), "{bad:?}");
        }
        assert!(length(&["99999999999999999999"]).is_err());
    }
}
