//! Another library in Rust, with a standard library of its own.

/// Whether a panic of this library is caught by it.
#[unsafe(no_mangle)]
pub extern "C" fn other_catches() -> i32 {
    std::panic::set_hook(Box::new(|_| {}));
    std::panic::catch_unwind(|| panic!("of the other library")).is_err().into()
}
