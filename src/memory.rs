//! Memory for what others make large: where there is none, they are told so.

use std::hint::black_box;

use crate::error::Error;

/// A copy of what may be large, if there is memory for it.
pub(crate) fn copy(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    joined(&[bytes])
}

/// The same, of several pieces.
pub(crate) fn joined(pieces: &[&[u8]]) -> Result<Vec<u8>, Error> {
    let length = pieces.iter().map(|piece| piece.len()).sum();
    let mut copy = Vec::new();
    copy.try_reserve_exact(length).map_err(|_| Error::System)?;
    for piece in pieces {
        copy.extend_from_slice(piece);
    }
    Ok(copy)
}

/// Whether there is so much memory. Asked before code of others allocates it,
/// which ends the process where there is none.
pub(crate) fn is_there(bytes: usize) -> bool {
    let mut probe = Vec::<u8>::new();
    let is_there = probe.try_reserve_exact(bytes).is_ok();
    // A compiler may leave out memory that nobody sees.
    black_box(&probe);
    is_there
}
