//! Tells helgrind about synchronisation that it cannot see (locks by futex, atomics). Does nothing in ordinary builds.
//!
//! The magic instruction sequence and the request numbers are those of valgrind's public client-request interface
//! (valgrind.h, helgrind.h).

/// What happened before this is visible to who calls [`happens_after`] with the same address later.
#[inline(always)]
pub fn happens_before(address: usize) {
    request(0x4847_0100 + 33, address, 0);
}

/// See [`happens_before`].
#[inline(always)]
pub fn happens_after(address: usize) {
    request(0x4847_0100 + 34, address, 0);
}

/// Memory that is accessed by atomics only.
#[inline(always)]
pub fn atomic_memory(address: usize, length: usize) {
    request(0x4847_0100 + 39, address, length);
}

#[cfg(not(all(feature = "helgrind", target_arch = "x86_64")))]
#[inline(always)]
fn request(_code: u64, _first: usize, _second: usize) {}

#[cfg(all(feature = "helgrind", target_arch = "x86_64"))]
fn request(code: u64, first: usize, second: usize) {
    let arguments: [u64; 6] = [code, first as u64, second as u64, 0, 0, 0];
    // SAFETY: outside valgrind the rotations of rdi add up to nothing and exchanging rbx with itself does nothing;
    // inside, valgrind reads the six words at rax and writes the answer to rdx.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") 0u64 => _,
            options(nostack),
        );
    }
}
