//! The version of a certificate and its public key, found whatever the rest of
//! it is: webpki reads certificates of version 3 only.

/// The version of a certificate in DER, if it is one: 1, 2 or 3.
pub(super) fn version(certificate: &[u8]) -> Option<u8> {
    let (certificate, _) = value(SEQUENCE, certificate)?;
    let (fields, _) = value(SEQUENCE, certificate)?;
    let first = element(fields)?;
    match first.tag {
        VERSION => match value(INTEGER, first.value)?.0 {
            [number] => number.checked_add(1),
            _ => None,
        },
        // Version 1 has no field that says so.
        INTEGER => Some(1),
        _ => None,
    }
}

/// A public key, as certificates have it (RFC 5280, 4.1.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PublicKey<'a> {
    /// The whole `SubjectPublicKeyInfo`, in DER.
    pub(super) info: &'a [u8],
    /// What is inside its `AlgorithmIdentifier`.
    pub(super) algorithm: &'a [u8],
    /// The key itself, as the algorithm has it.
    key: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// That of a certificate in DER, if it is one.
    pub(super) fn of(certificate: &'a [u8]) -> Option<PublicKey<'a>> {
        let (certificate, _) = value(SEQUENCE, certificate)?;
        let (mut fields, _) = value(SEQUENCE, certificate)?;
        // Version 1 has no field that says so.
        if fields.first() == Some(&VERSION) {
            fields = element(fields)?.rest;
        }
        // Serial number, signature algorithm, issuer, validity, subject.
        for _ in 0..5 {
            fields = element(fields)?.rest;
        }
        let info = element(fields)?;
        let (algorithm, rest) = value(SEQUENCE, info.value)?;
        let (key, _) = value(BIT_STRING, rest)?;
        // The number of bits that are left over in the last byte.
        let key = key.strip_prefix(&[0])?;
        Some(PublicKey { info: info.whole, algorithm, key })
    }

    /// How many bytes an RSA key's modulus has, if the key is one.
    pub(super) fn rsa_size(&self) -> Option<usize> {
        let (key, _) = value(SEQUENCE, self.key)?;
        let (modulus, _) = value(INTEGER, key)?;
        let start = modulus.iter().position(|byte| *byte != 0)?;
        Some(modulus.len() - start)
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// An element of DER.
struct Element<'a> {
    tag: u8,
    value: &'a [u8],
    /// Tag, length and value.
    whole: &'a [u8],
    rest: &'a [u8],
}

/// The element at the beginning of `bytes`.
fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let [tag, length, after @ ..] = bytes else { return None };
    let (length, after) = match length {
        0..=0x7f => (usize::from(*length), after),
        // Certificates do not come in gigabytes.
        0x81..=0x83 => {
            let count = usize::from(length & 0x7f);
            let (digits, after) = after.split_at_checked(count)?;
            let digit = |sum, digit: &u8| sum << 8 | usize::from(*digit);
            (digits.iter().fold(0, digit), after)
        }
        _ => return None,
    };
    let (value, rest) = after.split_at_checked(length)?;
    let whole = &bytes[..bytes.len() - rest.len()];
    Some(Element { tag: *tag, value, whole, rest })
}

/// The value of the element at the beginning of `bytes`, which has to have
/// this tag, and what comes behind it.
fn value(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let element = element(bytes)?;
    (element.tag == tag).then_some((element.value, element.rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_on_what_is_no_certificate() {
        for bytes in [
            &b""[..],
            b"0",
            b"0\x80",
            b"0\x84\0\0\0\0",
            b"0\x83\xff\xff\xff",
            b"0\x020\0",
            b"0\x05\x30\x03\x01\x01\xff",
            b"\x02\x01\x01",
        ] {
            assert_eq!(PublicKey::of(bytes), None, "{bytes:?}");
            assert_eq!(version(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_version_is_told_by_its_field_or_by_none() {
        for (fields, expected) in [
            (&b"\xa0\x03\x02\x01\x02"[..], Some(3)),
            (b"\xa0\x03\x02\x01\x00", Some(1)),
            (b"\x02\x01\x07", Some(1)),
            (b"\xa0\x04\x02\x02\x01\x00", None),
            (b"\xa0\x03\x02\x01\xff", None),
        ] {
            let length = fields.len() as u8;
            let inner = [&[SEQUENCE, length], fields].concat();
            let outer = [&[SEQUENCE, length + 2], &*inner].concat();
            assert_eq!(version(&outer), expected, "{fields:?}");
        }
    }

    #[test]
    fn leading_zeros_are_no_part_of_a_modulus() {
        for (modulus, size) in [
            (&b"\x02\x02\0\x80"[..], Some(1)),
            (b"\x02\x01\x7f", Some(1)),
            (b"\x02\x01\0", None),
            (b"\x03\x01\x7f", None),
        ] {
            let key = [&[SEQUENCE, modulus.len() as u8], modulus].concat();
            let key = PublicKey { info: &[], algorithm: &[], key: &key };
            assert_eq!(key.rsa_size(), size, "{modulus:?}");
        }
    }
}
