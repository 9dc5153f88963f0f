//! Reading from a socket, without waiting or until another thread ends that.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// Receives what has come. If `waits` is set, and the socket is one that
/// blocks, something has come when this returns, or it is the socket's timeout
/// or [`end_reads`] that has ended the wait.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    waits: bool,
) -> io::Result<usize> {
    let flags = if waits { 0 } else { libc::MSG_DONTWAIT };
    let place = buffer.as_mut_ptr().cast();
    // SAFETY: the buffer is borrowed for the call, and has that length.
    let received =
        unsafe { libc::recv(socket.as_raw_fd(), place, buffer.len(), flags) };
    received.try_into().map_err(|_| io::Error::last_os_error())
}

/// Ends the read that waits for a socket, and all that follow. Who writes to it
/// may go on, and a TCP peer sees nothing of it.
pub(crate) fn end_reads(socket: RawFd) {
    // SAFETY: takes no pointers. It fails only if the connection is broken, and
    // reads have ended.
    unsafe { libc::shutdown(socket, libc::SHUT_RD) };
}
