//! Panics on demand, for the tests of the guard. Releases do not have it.

#[cfg(not(feature = "panic-injection"))]
#[inline(always)]
pub(crate) fn panic_if_asked(_name: &str) {}

#[cfg(feature = "panic-injection")]
pub(crate) use asked::panic_if_asked;

#[cfg(feature = "panic-injection")]
mod asked {
    use std::ffi::{CStr, c_char};
    use tidegate_reactor::sys::lock::Lock;

    static ASKED: Lock<Option<String>> = Lock::new(None);

    pub(crate) fn panic_if_asked(name: &str) {
        let asked = ASKED.lock().as_deref() == Some(name);
        assert!(!asked, "a panic was asked for in {name}");
    }

    /// From now on the named function panics inside its guard; NULL: none does. "dispatch" is the delivery of events.
    ///
    /// # Safety
    /// `name` is NULL or a string.
    #[unsafe(no_mangle)]
    #[allow(unreachable_pub, reason = "exported from the shared library")]
    pub unsafe extern "C" fn tg_test_panic_in(name: *const c_char) {
        // SAFETY: not NULL, and a string by contract.
        let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned());
        *ASKED.lock() = name;
    }
}
