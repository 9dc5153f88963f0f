//! What C hands over, as Rust takes it, and what Rust hands back: the only
//! file of the door that follows a pointer.
//!
//! One promise stands behind all of it. Who calls an `unsafe` function of the
//! door is a C program, which keeps what the header's prologue asks under
//! "Arguments"; the door's functions hand their arguments on to those below,
//! and the promise with them. Hence no block says so again: `unsafe` in a
//! signature of the door means this promise and nothing else.

#![deny(unsafe_op_in_unsafe_fn)]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::mem::{self, MaybeUninit};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::slice;

use crate::error::Error;
use crate::memory;
use crate::panic::catch;

/// The body of every function that returns an error: a panic is one too.
pub(super) fn guard(body: impl FnOnce() -> Result<(), Error>) -> Error {
    match catch(body) {
        Some(Ok(())) => Error::None,
        Some(Err(error)) => error,
        None => Error::Internal,
    }
}

/// The object that C points to.
///
/// # Safety
///
/// `object` is NULL, or the library made it and it still exists. Nobody
/// changes it as long as the reference is used, but through its own locks and
/// cells.
pub(super) unsafe fn shared<'a, T>(object: *const T) -> Result<&'a T, Error> {
    // SAFETY: promised by the caller.
    unsafe { object.as_ref() }.ok_or(Error::Null)
}

/// The object that C points to, to be changed.
///
/// # Safety
///
/// As [`shared`], and nobody else looks at it as long as the reference is
/// used.
pub(super) unsafe fn exclusive<'a, T>(
    object: *mut T,
) -> Result<&'a mut T, Error> {
    // SAFETY: promised by the caller.
    unsafe { object.as_mut() }.ok_or(Error::Null)
}

/// Releases what `Box::into_raw` has made a pointer of.
///
/// # Safety
///
/// `object` came from there, and nobody uses it from here on.
pub(super) unsafe fn release<T>(object: *mut T) {
    // SAFETY: promised by the caller.
    drop(unsafe { Box::from_raw(object) });
}

/// The text that C points to.
///
/// # Safety
///
/// `text` is NULL or ends with a NUL.
pub(super) unsafe fn text<'a>(text: *const c_char) -> Result<&'a str, Error> {
    if text.is_null() {
        return Err(Error::Null);
    }
    // SAFETY: promised by the caller.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Error::Utf8)
}

/// The text that C points to, which code of others copies: a URL, or a name.
///
/// # Safety
///
/// As [`text`].
pub(super) unsafe fn name<'a>(chars: *const c_char) -> Result<&'a str, Error> {
    // SAFETY: promised by the caller.
    let text = unsafe { text(chars) }?;
    // Three bytes for each that is percent-encoded, and again in turn.
    match memory::is_there(8 * text.len()) {
        true => Ok(text),
        false => Err(Error::System),
    }
}

/// As [`name`], unless it is NULL.
///
/// # Safety
///
/// As [`text`].
pub(super) unsafe fn optional_name<'a>(
    chars: *const c_char,
) -> Result<Option<&'a str>, Error> {
    match chars.is_null() {
        true => Ok(None),
        // SAFETY: promised by the caller.
        false => unsafe { name(chars) }.map(Some),
    }
}

/// The text that C points to, unless it is NULL.
///
/// # Safety
///
/// As [`text`].
pub(super) unsafe fn optional<'a>(
    chars: *const c_char,
) -> Result<Option<&'a str>, Error> {
    match chars.is_null() {
        true => Ok(None),
        // SAFETY: promised by the caller.
        false => unsafe { text(chars) }.map(Some),
    }
}

/// The path that C points to, unless it is NULL. Paths are bytes.
///
/// # Safety
///
/// As [`text`].
pub(super) unsafe fn path<'a>(chars: *const c_char) -> Option<&'a Path> {
    if chars.is_null() {
        return None;
    }
    // SAFETY: promised by the caller.
    let bytes = unsafe { CStr::from_ptr(chars) }.to_bytes();
    Some(Path::new(OsStr::from_bytes(bytes)))
}

/// The bytes that C points to; NULL will do for none.
///
/// # Safety
///
/// `bytes` is NULL, or `len` bytes may be read there.
pub(super) unsafe fn bytes<'a>(
    bytes: *const u8,
    len: usize,
) -> Result<&'a [u8], Error> {
    if len == 0 {
        return Ok(&[]);
    }
    if bytes.is_null() {
        return Err(Error::Null);
    }
    if isize::try_from(len).is_err() {
        // More than any memory holds.
        return Err(Error::Value);
    }
    // SAFETY: promised by the caller.
    Ok(unsafe { slice::from_raw_parts(bytes, len) })
}

/// Where C wants a result. What is there now is not looked at.
///
/// # Safety
///
/// `place` is NULL, or a `T` may be written there.
pub(super) unsafe fn out<'a, T>(
    place: *mut T,
) -> Result<&'a mut MaybeUninit<T>, Error> {
    // SAFETY: promised by the caller.
    unsafe { place.cast::<MaybeUninit<T>>().as_mut() }.ok_or(Error::Null)
}

/// Where C wants up to `len` results; none if `places` is NULL.
///
/// # Safety
///
/// `places` is NULL, or that many `T` may be written there.
pub(super) unsafe fn room<'a, T>(
    places: *mut T,
    len: usize,
) -> &'a mut [MaybeUninit<T>] {
    match places.is_null() {
        true => &mut [],
        // SAFETY: promised by the caller; what is there is not read.
        false => unsafe { slice::from_raw_parts_mut(places.cast(), len) },
    }
}

/// Writes as much of a structure as the program has room for. What the
/// program's structure has and this library's has not is zero.
///
/// # Safety
///
/// `size` bytes may be written at `out`, which needs no alignment.
pub(super) unsafe fn write_sized<T: Copy>(value: &T, out: *mut T, size: usize) {
    let known = size.min(mem::size_of::<T>());
    let (from, to) = (ptr::from_ref(value).cast::<u8>(), out.cast::<u8>());
    // SAFETY: both have that many bytes, as the caller promises; a local
    // and the program's memory do not overlap.
    unsafe { ptr::copy_nonoverlapping(from, to, known) };
    // SAFETY: within the size that the caller promises.
    unsafe { ptr::write_bytes(to.add(known), 0, size - known) };
}

/// Yes or no, as C says it.
pub(super) fn flag(number: c_int) -> Result<bool, Error> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::Value),
    }
}

/// A pointer that C gave us to give back.
pub(super) struct Pointer<T>(pub(super) *mut T);

// SAFETY: the header says that callbacks run on a thread of their own, and
// what `user_data` points to is shared by the program with its eyes open.
unsafe impl<T> Send for Pointer<T> {}
// SAFETY: as above; the pointer itself is only read.
unsafe impl<T> Sync for Pointer<T> {}

impl<T> Pointer<T> {
    /// A method, so that closures capture the whole and not the field.
    pub(super) fn get(&self) -> *mut T {
        self.0
    }
}

pub(super) type UserData = Pointer<c_void>;
