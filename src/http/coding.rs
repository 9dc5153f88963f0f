//! The content codings of a body, undone as it comes, whatever the protocol
//! is that frames it.

use std::io::{self, Write};
use std::ops::ControlFlow::{self, Break, Continue};

use flate2::write::MultiGzDecoder;
use http::header::{self, HeaderMap};

use crate::error::Error;
use crate::failure::Failure;

/// gzip, undone as it comes.
#[derive(Debug)]
pub(crate) struct Gzip(MultiGzDecoder<Vec<u8>>);

impl Gzip {
    /// How much is decoded at once: some 4 MB at the most extreme ratio.
    const STEP: usize = 4 * 1024;

    /// The request asks for no coding. gzip is undone all the same; what cannot
    /// be undone cannot be an event stream.
    pub(crate) fn of(
        headers: &HeaderMap,
    ) -> Result<Option<Box<Gzip>>, Failure> {
        let mut codings = headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(|coding| coding.trim_ascii().to_ascii_lowercase())
            .filter(|coding| !coding.is_empty() && coding != b"identity");
        let Some(coding) = codings.next() else { return Ok(None) };
        if codings.next().is_some() || !matches!(&*coding, b"gzip" | b"x-gzip")
        {
            let coding = String::from_utf8_lossy(&coding);
            return Err(Failure::new(
                Error::ContentType,
                format!("content coding that was not asked for: {coding}"),
            ));
        }
        Ok(Some(Box::new(Gzip(MultiGzDecoder::new(Vec::new())))))
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
