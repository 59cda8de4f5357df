//! Chapter: errors.

use std::cell::RefCell;
use std::ffi::{c_char, c_int};
use std::io::Write;
use tidegate_reactor::ERROR_TABLE;

/// Long enough for the longest name with the largest values.
const WORDS: usize = 512;

struct Words([u8; WORDS]);

thread_local! {
    static LAST: RefCell<Words> = const { RefCell::new(Words([0; WORDS])) };
}

/// Keeps the words of a failure for this thread, cut at the end if they are too many.
pub(crate) fn remember(words: std::fmt::Arguments<'_>) {
    LAST.with_borrow_mut(|last| {
        let mut room = &mut last.0[..WORDS - 1];
        // What does not fit is left out.
        let _ = room.write_fmt(words);
        let left = room.len();
        let mut end = WORDS - 1 - left;
        while std::str::from_utf8(&last.0[..end]).is_err() {
            end -= 1;
        }
        last.0[end] = 0;
    });
}

/// The name of a code: "TG_EINVAL", "EPERM" for -EPERM, "TG_OK" for 0, "TG_UNKNOWN" for anything else.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: the text is static.
/// Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn tg_err_name(code: c_int) -> *const c_char {
    total!(tg_err_name, c"TG_EPANIC".as_ptr(), names::name(code).as_ptr())
}

/// What a code means, in English.
///
/// Thread: any.
/// Callable from callbacks: yes.
/// Ownership: the text is static.
/// Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn tg_strerror(code: c_int) -> *const c_char {
    total!(tg_strerror, c"the library has failed inside".as_ptr(), names::text(code).as_ptr())
}

/// The last failure of a call on this thread in words: function, arguments, code and reason. "" when none has failed; a
/// success leaves it alone.
///
/// Thread: any; each has its own.
/// Callable from callbacks: yes.
/// Ownership: the text is the library's, and valid until the next call on this thread that fails.
/// Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn tg_last_error() -> *const c_char {
    total!(tg_last_error, c"".as_ptr(), LAST.with(|last| last.as_ptr().cast_const().cast::<c_char>()))
}

mod names {
    use super::{ERROR_TABLE, c_int};
    use std::ffi::{CStr, CString};
    use std::sync::OnceLock;

    struct Row {
        name: CString,
        text: CString,
    }

    /// Codes of ours, and of the operating system, in order. The system's go up to the largest errno of any system we know.
    fn rows() -> &'static [(c_int, Row)] {
        const LARGEST_ERRNO: i32 = 4000;
        static ROWS: OnceLock<Vec<(c_int, Row)>> = OnceLock::new();
        ROWS.get_or_init(|| {
            let ours = ERROR_TABLE.iter().map(|(code, name, text)| (*code, row(name, text)));
            let system = (1..LARGEST_ERRNO).filter_map(|errno| {
                let name = errno_name(errno)?;
                Some((-errno, row(name, &system_text(errno))))
            });
            let mut rows: Vec<_> = ours.chain(system).collect();
            rows.sort_by_key(|row| row.0);
            rows
        })
    }

    fn find(code: c_int) -> Option<&'static Row> {
        let rows = rows();
        rows.binary_search_by_key(&code, |row| row.0).ok().map(|index| &rows[index].1)
    }

    fn row(name: &str, text: &str) -> Row {
        let string = |text: &str| CString::new(text).unwrap_or_default();
        Row { name: string(name), text: string(text) }
    }

    fn system_text(errno: i32) -> String {
        let text = std::io::Error::from_raw_os_error(errno).to_string();
        text.split(" (os error").next().unwrap_or_default().to_owned()
    }

    pub(super) fn name(code: c_int) -> &'static CStr {
        match find(code) {
            Some(row) => &row.name,
            None if code == 0 => c"TG_OK",
            None => c"TG_UNKNOWN",
        }
    }

    pub(super) fn text(code: c_int) -> &'static CStr {
        match find(code) {
            Some(row) => &row.text,
            None if code == 0 => c"success",
            None => c"not a code of this library or of the system",
        }
    }

    macro_rules! errno_names {
        ($($name:ident)*) => {
            fn errno_name(errno: i32) -> Option<&'static str> {
                // Some names share a number; the first of them is the one that is shown.
                [$((libc::$name, stringify!($name))),*].into_iter().find(|(known, _)| *known == errno).map(|row| row.1)
            }
        };
    }
    errno_names! {
        EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST
        EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM
        ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENOMSG EIDRM EPROTO EOVERFLOW EILSEQ EUSERS ENOTSOCK
        EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT
        EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN
        ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE
        EDQUOT ECANCELED EOWNERDEAD ENOTRECOVERABLE
    }
}
