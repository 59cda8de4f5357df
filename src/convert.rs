//! Every conversion of a pointer that comes from C. Nothing outside this file looks behind one.

use crate::error::noted;
use crate::shown::Kind;
use crate::types::tg_buffer;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use tidegate_reactor::{Error, Result};

/// Options grow at their end: a structure this large is not one of ours.
const LARGEST_STRUCTURE: usize = 4096;

/// A structure whose first member is `size_t size`, that is plain data, and for which any bit pattern is valid.
///
/// # Safety
/// `repr(C)`, first member `size: usize`, no padding before it, every bit pattern valid (pointers and `Option`s of
/// functions are: they are not followed here).
pub(crate) unsafe trait Sized_: Copy {
    /// What members have that the caller's structure is too small for.
    const DEFAULT: Self;
    /// The members after the first.
    const MEMBERS: &'static Members;
}

/// What a structure is made of.
pub(crate) struct Members {
    /// Its size in this version.
    pub(crate) whole: usize,
    /// The names of the members after the first, with commas between them.
    pub(crate) names: &'static str,
    /// Where each of them begins. Only there can the structure of an older header end: anywhere else is the middle of a
    /// member, and half a pointer must not be taken for one.
    pub(crate) offsets: &'static [usize],
    /// What each of them is.
    pub(crate) kinds: &'static [Kind],
}

/// `MEMBERS` of a structure: those after the first.
macro_rules! members {
    ($type:ty: $($member:ident),+) => {
        const MEMBERS: &'static $crate::convert::Members = &$crate::convert::Members {
            whole: size_of::<$type>(),
            names: stringify!($($member),+),
            offsets: &[$(std::mem::offset_of!($type, $member)),+],
            kinds: &[$($crate::shown::kind_of(|all: &$type| &all.$member)),+],
        };
    };
}

/// Reads options of the caller's size; NULL are the defaults.
///
/// # Safety
/// `options` is NULL or points to at least as many readable bytes as its first member says.
pub(crate) unsafe fn options<T: Sized_>(options: *const T) -> Result<T> {
    let mut copy = T::DEFAULT;
    if options.is_null() {
        return Ok(copy);
    }
    // SAFETY: the caller's promise.
    let (size, known) = unsafe { sizes(options.cast(), T::MEMBERS) };
    let known = known?;
    // SAFETY: both sides have `known` bytes, and T may hold any of them.
    unsafe { std::ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut copy).cast::<u8>(), known) };
    // SAFETY: the caller's structure has `size` bytes.
    let tail = unsafe { std::slice::from_raw_parts(options.cast::<u8>().add(known), size - known) };
    if tail.iter().any(|byte| *byte != 0) {
        return Err(Error::invalid("the options are newer than this library and use what it does not know"));
    }
    Ok(copy)
}

/// The size that a structure says it has, and how many of its bytes this version knows.
///
/// # Safety
/// `structure` has at least a size member.
pub(crate) unsafe fn sizes(structure: *const c_void, members: &Members) -> (usize, Result<usize>) {
    // SAFETY: the first member is always there.
    let size = unsafe { structure.cast::<usize>().read_unaligned() };
    let known = check_size(size).and_then(|()| {
        if size < members.whole && !members.offsets.contains(&size) {
            return Err(Error::invalid("the size member is not that of any version of the structure"));
        }
        Ok(size.min(members.whole))
    });
    (size, known)
}

/// The bits of a member that has `size` bytes.
///
/// # Safety
/// The structure has these bytes.
pub(crate) unsafe fn member(structure: *const c_void, offset: usize, size: usize) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        let at = structure.cast::<u8>().add(offset);
        match size {
            2 => u64::from(at.cast::<u16>().read_unaligned()),
            4 => u64::from(at.cast::<u32>().read_unaligned()),
            _ => at.cast::<u64>().read_unaligned(),
        }
    }
}

fn check_size(size: usize) -> Result<()> {
    if size < size_of::<usize>() || size > LARGEST_STRUCTURE {
        return Err(Error::invalid("the size member is not set to the size of the structure"));
    }
    Ok(())
}

/// Where a result goes, if the call succeeds.
pub(crate) struct Out<T>(*mut T);

/// # Safety
/// `out` is NULL or may be written to.
pub(crate) unsafe fn out<T>(out: *mut T) -> Result<Out<T>> {
    if out.is_null() { Err(Error::invalid("an out-parameter is NULL")) } else { Ok(Out(out)) }
}

impl<T> Out<T> {
    pub(crate) fn write(self, value: T) {
        // SAFETY: not NULL, and writable by the caller's promise.
        unsafe { self.0.write_unaligned(value) };
    }
}

/// Where a structure of the caller's size goes, if the call succeeds.
pub(crate) struct SizedOut<T> {
    to: *mut T,
    size: usize,
}

/// # Safety
/// `out` is NULL or points to at least as many writable bytes as its first member says.
pub(crate) unsafe fn sized_out<T: Sized_>(out: *mut T) -> Result<SizedOut<T>> {
    if out.is_null() {
        return Err(Error::invalid("an out-parameter is NULL"));
    }
    // SAFETY: the first member is always there.
    let size = unsafe { out.cast::<usize>().read_unaligned() };
    check_size(size)?;
    Ok(SizedOut { to: out, size })
}

impl<T: Sized_> SizedOut<T> {
    /// Writes what fits and zeroes what the caller has beyond it; the size member stays.
    pub(crate) fn write(self, value: T) {
        let first = size_of::<usize>();
        let known = self.size.min(size_of::<T>());
        let from = (&raw const value).cast::<u8>();
        let to = self.to.cast::<u8>();
        // SAFETY: both sides have `known` bytes and do not overlap; the caller's has `size`.
        unsafe {
            std::ptr::copy_nonoverlapping(from.add(first), to.add(first), known - first);
            std::ptr::write_bytes(to.add(known), 0, self.size - known);
        }
    }
}

/// An array of the caller's to be read and written.
///
/// # Safety
/// `first` is NULL or points to `count` initialised elements that nobody else uses during the call.
pub(crate) unsafe fn array<'a, T>(first: *mut T, count: usize) -> Result<&'a mut [T]> {
    check_array(first, count)?;
    if count == 0 {
        return Ok(&mut []);
    }
    // SAFETY: not NULL, aligned, of a possible size (checked), and valid by the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(first, count) })
}

/// An array of the caller's to be written.
///
/// # Safety
/// `first` is NULL or points to room for `count` elements that nobody else uses during the call.
pub(crate) unsafe fn array_out<'a, T>(first: *mut T, count: usize) -> Result<&'a mut [MaybeUninit<T>]> {
    // SAFETY: uninitialised memory is a valid MaybeUninit; the rest is the caller's promise.
    unsafe { array(first.cast::<MaybeUninit<T>>(), count) }
}

fn check_array<T>(first: *mut T, count: usize) -> Result<()> {
    if first.is_null() && count > 0 {
        return Err(Error::invalid("an array is NULL"));
    }
    if count > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Error::invalid("an array is larger than memory can be"));
    }
    if !first.is_aligned() {
        return Err(Error::invalid("an array is not aligned"));
    }
    Ok(())
}

/// Bytes of the caller's.
///
/// # Safety
/// `first` is NULL or points to `count` initialised bytes that nobody changes during the call.
pub(crate) unsafe fn bytes<'a>(first: *const u8, count: usize) -> Result<&'a [u8]> {
    check_array(first.cast_mut(), count)?;
    if count == 0 {
        return Ok(&[]);
    }
    // SAFETY: not NULL, of a possible size (checked), and valid by the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// Elements of the caller's.
///
/// # Safety
/// `first` is NULL or points to `count` initialised elements that nobody changes during the call.
pub(crate) unsafe fn slice<'a, T: Copy>(first: *const T, count: usize) -> Result<&'a [T]> {
    check_array(first.cast_mut(), count)?;
    if count == 0 {
        return Ok(&[]);
    }
    // SAFETY: not NULL, aligned, of a possible size (checked), and valid by the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// Strings of the caller's in a list that ends with NULL; `None` when there is no list.
///
/// # Safety
/// `list` is NULL or points to pointers to strings, the last of which is NULL, and nobody changes them during the call.
pub(crate) unsafe fn strings<'a>(list: *const *const c_char) -> Result<Option<Vec<&'a CStr>>> {
    if list.is_null() {
        return Ok(None);
    }
    let mut all = Vec::new();
    let mut next = list;
    // SAFETY: every pointer up to the NULL is readable, and is that of a string.
    unsafe {
        while !next.read_unaligned().is_null() {
            all.try_reserve(1)?;
            all.push(CStr::from_ptr(next.read_unaligned()));
            next = next.add(1);
        }
    }
    Ok(Some(all))
}

/// The first strings of such a list, and `None` behind them if there are more.
///
/// # Safety
/// As [`strings`], but not NULL.
pub(crate) unsafe fn first_strings<'a>(
    list: *const *const c_char, most: usize,
) -> impl Iterator<Item = Option<&'a CStr>> {
    (0..=most).map_while(move |index| {
        // SAFETY: every pointer up to the NULL is readable, and `map_while` ends there.
        let text = unsafe { string_or_null(list.add(index).read_unaligned()) }?;
        Some((index < most).then_some(text))
    })
}

/// A structure of the caller's without a size, or nothing.
///
/// # Safety
/// `pointer` is NULL or points to a value of which any bit pattern is valid.
pub(crate) unsafe fn optional<T: Copy>(pointer: *const T) -> Option<T> {
    // SAFETY: the caller's promise.
    unsafe { value(pointer) }.ok()
}

/// A string of the caller's, of whatever bytes.
///
/// # Safety
/// `text` is NULL or ends with a zero that nobody moves during the call.
pub(crate) unsafe fn string<'a>(text: *const c_char) -> Result<&'a CStr> {
    if text.is_null() {
        return Err(Error::invalid("a string is NULL"));
    }
    // SAFETY: not NULL, and a string by the caller's promise.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// A string of the caller's, or none.
///
/// # Safety
/// As [`string`].
pub(crate) unsafe fn string_or_null<'a>(text: *const c_char) -> Option<&'a CStr> {
    // SAFETY: the caller's promise.
    unsafe { string(text) }.ok()
}

/// A string of the caller's that must be UTF-8.
///
/// # Safety
/// As [`string`].
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    let string = unsafe { string(text) }?;
    string.to_str().map_err(|_| Error::invalid("a string is not UTF-8"))
}

/// A structure of the caller's without a size.
///
/// # Safety
/// `pointer` is NULL or points to a value of which any bit pattern is valid.
pub(crate) unsafe fn value<T: Copy>(pointer: *const T) -> Result<T> {
    if pointer.is_null() {
        return Err(Error::invalid("a structure is NULL"));
    }
    // SAFETY: not NULL, and readable by the caller's promise.
    Ok(unsafe { pointer.read_unaligned() })
}

/// A structure of C without a byte that belongs to no member.
///
/// # Safety
/// `repr(C)`, plain data without padding.
pub(crate) unsafe trait Plain: Copy {}

/// Structures as bytes, for what records carry.
pub(crate) fn bytes_of<T: Plain>(all: &[T]) -> &[u8] {
    // SAFETY: every byte of a `Plain` structure is initialised, and the slice borrows them.
    unsafe { std::slice::from_raw_parts(all.as_ptr().cast(), size_of_val(all)) }
}

/// Writes bytes to the start of the caller's; how many.
///
/// # Errors
/// [`Error::NO_BUFFERS`] when there is not enough room.
pub(crate) fn write_bytes(room: &mut [MaybeUninit<u8>], bytes: &[u8]) -> Result<usize> {
    if bytes.len() > room.len() {
        return Err(Error::NO_BUFFERS.because("there is not enough room for the answer"));
    }
    for (to, from) in room.iter_mut().zip(bytes) {
        to.write(*from);
    }
    Ok(bytes.len())
}

/// Writes a text and the zero behind it; its length without.
///
/// # Errors
/// [`Error::NO_BUFFERS`] when there is not enough room.
pub(crate) fn write_text(room: &mut [MaybeUninit<u8>], text: impl AsRef<[u8]>) -> Result<usize> {
    let text = text.as_ref();
    if text.len() >= room.len() {
        return Err(Error::NO_BUFFERS.because("there is not enough room for the text"));
    }
    write_bytes(room, text)?;
    room[text.len()].write(0);
    Ok(text.len())
}

/// The most pieces of one vectored write (what POSIX calls IOV_MAX).
const MOST_PIECES: usize = 1024;

/// Pieces of memory of the caller's.
///
/// # Errors
/// [`Error::INVALID`] for a NULL or too many; [`Error::NO_MEMORY`].
///
/// # Safety
/// `first` is NULL or points to `count` elements, each of which names memory that is readable during the call.
pub(crate) unsafe fn pieces<'a>(first: *const tg_buffer, count: usize) -> Result<Vec<IoSlice<'a>>> {
    if count > MOST_PIECES {
        return Err(Error::invalid("more than 1,024 pieces"));
    }
    // SAFETY: the caller's promise.
    let buffers = unsafe { array(first.cast_mut(), count) }?;
    let mut pieces = Vec::new();
    pieces.try_reserve_exact(count)?;
    for (index, buffer) in buffers.iter().enumerate() {
        // SAFETY: the caller's promise.
        pieces.push(IoSlice::new(unsafe { piece(index, buffer) }?));
    }
    Ok(pieces)
}

/// One of several pieces.
///
/// # Safety
/// It names memory that is readable during the call.
pub(crate) unsafe fn piece<'a>(index: usize, buffer: &tg_buffer) -> Result<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe { bytes(buffer.data.cast(), buffer.length) }.map_err(|error| {
        noted(error, format_args!("buffers[{index}] = {{.data = {:?}, .length = {}}}", buffer.data, buffer.length))
    })
}

/// Elements of the caller's.
///
/// # Safety
/// `first` is NULL or points to `count` initialised elements that nobody changes during the call.
pub(crate) unsafe fn elements<'a, T>(first: *const T, count: usize) -> Result<&'a [T]> {
    check_array(first.cast_mut(), count)?;
    if count == 0 {
        return Ok(&[]);
    }
    // SAFETY: not NULL, aligned, of a possible size (checked), and valid by the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(first, count) })
}

/// A descriptor that the caller gives away.
///
/// # Safety
/// It is open, and nobody else closes it.
pub(crate) unsafe fn take_descriptor(fd: c_int) -> OwnedFd {
    // SAFETY: the caller's promise.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Memory of the caller's that an operation on another thread uses until its handle is released.
pub(crate) struct Lent {
    first: *mut u8,
    length: usize,
}

// SAFETY: the caller has promised that nobody else uses the memory meanwhile.
unsafe impl Send for Lent {}

/// # Safety
/// `first` is NULL or points to `length` bytes that are the operation's until its handle is released.
pub(crate) unsafe fn lent(first: *mut u8, length: usize) -> Result<Lent> {
    check_array(first, length)?;
    Ok(Lent { first, length })
}

impl Lent {
    /// Where it begins, and how many bytes it has.
    pub(crate) fn parts(&self) -> (*mut u8, usize) {
        (self.first, self.length)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: not NULL, of a possible size (checked), and lent by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.first, self.length) }
    }
}

impl AsMut<[MaybeUninit<u8>]> for Lent {
    fn as_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        if self.length == 0 {
            return &mut [];
        }
        // SAFETY: as above; bytes that may be uninitialised.
        unsafe { std::slice::from_raw_parts_mut(self.first.cast(), self.length) }
    }
}
