//! What happens when there is nothing left to give out. In a file, and so a process, of its own.

use tidegate_reactor::sys::port::Claim;
use tidegate_reactor::{Closures, Error};

#[test]
fn h10_a_loop_that_cannot_be_made_leaves_nothing_behind() {
    // mutation: Claim has no Drop.
    // A thousand and twenty-four loops and pollers may be live: the failure of the next one takes no tag.
    let mut live = Vec::new();
    let refused = loop {
        match Claim::new() {
            Ok(claim) => live.push(claim),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code(), Error::LIMIT.code());
    for _ in 0..3 {
        assert_eq!(Closures::new_loop().err().map(Error::code), Some(Error::LIMIT.code()));
    }
    let many = live.len();
    drop(live);
    let again: Vec<_> = std::iter::from_fn(|| Claim::new().ok()).collect();
    assert_eq!(again.len(), many);
}
