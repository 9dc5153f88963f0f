//! The content codings of a body, undone as it comes, whatever the protocol
//! is that frames it.

use std::io::{self, Write};
use std::ops::ControlFlow::{self, Break, Continue};

use flate2::write::MultiGzDecoder;
use http::header::{self, HeaderMap, HeaderName};

use crate::error::Error;
use crate::failure::Failure;

/// The content codings that are undone.
const UNDONE: [&[u8]; 2] = [b"gzip", b"x-gzip"];

/// The others that there are (IANA, "HTTP Content Coding Registry").
const OTHERS: [&[u8]; 10] = [
    b"aes128gcm",
    b"br",
    b"compress",
    b"dcb",
    b"dcz",
    b"deflate",
    b"exi",
    b"pack200-gzip",
    b"x-compress",
    b"zstd",
];

/// Whether there is such a coding: servers write "none", "utf-8" and more.
pub(crate) fn is_registered(coding: &[u8]) -> bool {
    UNDONE.contains(&coding) || OTHERS.contains(&coding)
}

/// The codings that a header lists, in lower case, without those that do
/// nothing.
pub(crate) fn codings(headers: &HeaderMap, name: HeaderName) -> Vec<Vec<u8>> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|coding| coding.trim_ascii().to_ascii_lowercase())
        .filter(|coding| !coding.is_empty() && coding != b"identity")
        .collect()
}

/// gzip, undone as it comes.
#[derive(Debug)]
pub(crate) struct Gzip(MultiGzDecoder<Vec<u8>>);

impl Gzip {
    /// How much is decoded at once: some 4 MB at the most extreme ratio.
    const STEP: usize = 4 * 1024;

    /// The request asks for no coding, and gzip is undone all the same. Other
    /// codings that there are cannot be: what they hide is no event stream.
    /// Where a name is that of no coding, the body is what it is (Fetch,
    /// "handle content codings").
    pub(crate) fn of(
        headers: &HeaderMap,
    ) -> Result<Option<Box<Gzip>>, Failure> {
        let codings = codings(headers, header::CONTENT_ENCODING);
        let is_undone = |coding: &Vec<u8>| UNDONE.contains(&&coding[..]);
        let mut real = codings.iter().filter(|coding| is_registered(coding));
        if let Some(coding) = real.find(|coding| !is_undone(coding)) {
            return Err(not_asked_for(coding));
        }
        match &codings[..] {
            [coding] if is_undone(coding) => {
                Ok(Some(Box::new(Gzip(MultiGzDecoder::new(Vec::new())))))
            }
            [_, again, ..] if codings.iter().all(is_undone) => {
                Err(not_asked_for(again))
            }
            _ => Ok(None),
        }
    }

    /// Decodes a piece, and hands the result to `sink`, step by step.
    pub(crate) fn decode(
        &mut self,
        piece: &[u8],
        sink: &mut impl FnMut(&mut [u8]) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        for step in piece.chunks(Self::STEP) {
            self.0.write_all(step)?;
            self.0.flush()?;
            let decoded = self.0.get_mut();
            if sink(decoded).is_break() {
                return Ok(Break(()));
            }
            decoded.clear();
            decoded.shrink_to(64 * 1024);
        }
        Ok(Continue(()))
    }
}

fn not_asked_for(coding: &[u8]) -> Failure {
    let coding = String::from_utf8_lossy(coding);
    let message = format!("content coding that was not asked for: {coding}");
    Failure::new(Error::ContentType, message)
}
