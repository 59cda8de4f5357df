//! Room for what operations on timers may need, so that none of them allocates.

use super::NoMemory;

/// Raises a vector's capacity to at least `total`, growing geometrically.
pub(super) fn reserve_total<T>(vec: &mut Vec<T>, total: usize) -> Result<(), NoMemory> {
    if vec.capacity() >= total {
        return Ok(());
    }
    vec.try_reserve(total - vec.len()).map_err(|_| NoMemory)
}

/// The same for what is most often nearly empty. What it holds is moved to fresh memory: the allocator would move all that
/// it might hold, and so make pages real that were never written.
pub(super) fn reserve_seldom_used<T>(vec: &mut Vec<T>, total: usize) -> Result<(), NoMemory> {
    if vec.capacity() >= total {
        return Ok(());
    }
    let mut fresh = Vec::new();
    fresh.try_reserve_exact(total.max(vec.capacity() * 2)).map_err(|_| NoMemory)?;
    fresh.append(vec);
    *vec = fresh;
    Ok(())
}
