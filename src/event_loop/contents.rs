//! What is open in a loop, for programs and for people.

use crate::convert::array_out;
use crate::registry::find_loop;
use crate::types::{tg_handle, tg_loop};
use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

/// The ids of the open handles: as many as there are and fit into `capacity` are written.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `out` stays the caller's.
/// Returns: how many handles are open, which may be more than `capacity`.
/// Errors: TG_EINVAL (`out` is NULL although `capacity` is not 0), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
/// TG_EPANIC.
///
/// # Safety
/// `out` is NULL or has room for `capacity` ids.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_loop_get_handles(loop_: tg_loop, out: *mut tg_handle, capacity: usize) -> c_int {
    guard!(tg_loop_get_handles(loop_, out, capacity), {
        // SAFETY: the caller's promise.
        unsafe { array_out(out, capacity) }.and_then(|out| {
            let mut room = out.iter_mut();
            let found = find_loop(loop_)?;
            found.event_loop.for_each_handle(|id| {
                if let Some(slot) = room.next() {
                    slot.write(id.raw());
                }
            })
        })
    })
}

/// A text for people: one line for each open handle with id, kind, what it watches, and whether it is active and
/// referenced. As much as fits is written and ended by a zero byte, as snprintf does.
///
/// Thread: the loop's.
/// Callable from callbacks: yes.
/// Ownership: `buffer` stays the caller's.
/// Returns: the length of the whole text.
/// Errors: TG_EINVAL (`buffer` is NULL although `capacity` is not 0), TG_ESTALE, TG_EKIND, TG_EWRONGTHREAD, TG_EFORKED,
/// TG_EPANIC.
///
/// # Safety
/// `buffer` is NULL or has room for `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_loop_dump(loop_: tg_loop, buffer: *mut c_char, capacity: usize) -> c_int {
    guard!(tg_loop_dump(loop_, buffer, capacity), {
        // SAFETY: the caller's promise.
        unsafe { array_out(buffer.cast::<u8>(), capacity) }.and_then(|out| {
            let mut text = Counted { room: out, length: 0 };
            find_loop(loop_)?.event_loop.dump(&mut text)?;
            Ok(text.end())
        })
    })
}

/// Writes what fits and counts the rest.
struct Counted<'a> {
    room: &'a mut [MaybeUninit<u8>],
    length: usize,
}

impl std::fmt::Write for Counted<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        // The last place is the zero byte's.
        let places = self.room.len().saturating_sub(1);
        for (slot, byte) in self.room[..places].iter_mut().skip(self.length).zip(text.bytes()) {
            slot.write(byte);
        }
        self.length += text.len();
        Ok(())
    }
}

impl Counted<'_> {
    fn end(self) -> usize {
        let last = self.length.min(self.room.len().saturating_sub(1));
        if let Some(slot) = self.room.get_mut(last) {
            slot.write(0);
        }
        self.length
    }
}
