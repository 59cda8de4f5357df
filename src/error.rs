//! Chapter: errors.

use std::cell::RefCell;
use std::ffi::{c_char, c_int};
use std::fmt::Write;
use tidegate_reactor::{ERROR_TABLE, Error};

/// Room for the arguments, cut off if need be, and behind them for the longest reason.
const WORDS: usize = 1024;
/// How much of that the arguments may take: reasons have up to 300 bytes, notes up to [`NOTE`].
const ARGUMENTS: usize = WORDS - NOTE - 320;
/// How long a note may be: an array's element, with an address of a path that has to be escaped.
const NOTE: usize = 160;

/// A text in memory that was there before anything failed. What does not fit is left out, and "…" says so.
#[repr(C)]
pub(crate) struct Text<const ROOM: usize> {
    /// Zeroes behind the text, one at least.
    bytes: [u8; ROOM],
    length: usize,
    full: bool,
}

impl<const ROOM: usize> Text<ROOM> {
    const fn new() -> Self {
        Text { bytes: [0; ROOM], length: 0, full: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl<const ROOM: usize> Write for Text<ROOM> {
    fn write_str(&mut self, words: &str) -> std::fmt::Result {
        const MORE: &str = "…";
        if self.full {
            return Ok(());
        }
        // As long as it is not full there is room for that.
        let left = ROOM - 1 - MORE.len() - self.length;
        if words.len() <= left {
            self.push(words.as_bytes());
        } else {
            let end = (0..=left).rev().find(|end| words.is_char_boundary(*end)).unwrap_or(0);
            self.push(&words.as_bytes()[..end]);
            self.push(MORE.as_bytes());
            self.full = true;
        }
        Ok(())
    }
}

thread_local! {
    static LAST: RefCell<Text<WORDS>> = const { RefCell::new(Text::new()) };
    static NOTED: RefCell<(Option<Error>, Text<NOTE>)> = const { RefCell::new((None, Text::new())) };
}

/// The same error, with words about it that only its call can know, such as which element of an array was wrong.
#[cold]
pub(crate) fn noted(error: Error, words: std::fmt::Arguments<'_>) -> Error {
    NOTED.with_borrow_mut(|noted| {
        *noted = (Some(error), Text::new());
        // A Text takes everything.
        let _ = noted.1.write_fmt(words);
    });
    error
}

/// Keeps the words of a failure for this thread.
pub(crate) fn remember(name: &str, error: Error, arguments: impl FnOnce(&mut Text<ARGUMENTS>) -> std::fmt::Result) {
    let mut shown = Text::new();
    // A Text takes everything.
    let _ = arguments(&mut shown);
    NOTED.with_borrow_mut(|noted| {
        // That of an error which was no call's is nobody's.
        let note = if noted.0.take() == Some(error) { noted.1.as_str() } else { "" };
        let between = if note.is_empty() { "" } else { ": " };
        LAST.with_borrow_mut(|last| {
            *last = Text::new();
            let _ = write!(last, "{name}({}): {error}{between}{note}", shown.as_str());
        });
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
