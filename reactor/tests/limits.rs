//! What happens when there is nothing left to give out. In a file, and so a process, of its own.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate_reactor::base::id::TAGS;
use tidegate_reactor::sys::port::Claim;
use tidegate_reactor::{Closures, Error};

/// These tests take every tag there is: one at a time.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn h10_a_loop_that_cannot_be_made_leaves_nothing_behind() {
    // mutation: Claim has no Drop.
    // A thousand and twenty-four loops and pollers may be live: the failure of the next one takes no tag.
    let _all_tags = TURN.lock().unwrap();
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

#[test]
fn h01_generations_of_a_tag_never_repeat_while_threads_fight_for_it() {
    // mutation: Claim::take reads the floor before it looks whether the tag is free.
    const ROUNDS: u32 = 300_000;
    static LAST: [AtomicU32; TAGS] = [const { AtomicU32::new(0) }; TAGS];
    let _few_tags = TURN.lock().unwrap();
    let mut held: Vec<Claim> = std::iter::from_fn(|| Claim::new().ok()).collect();
    held.truncate(held.len() - 3);
    let fight = || {
        for _ in 0..ROUNDS {
            let Ok(claim) = Claim::new() else { continue };
            let before = LAST[claim.tag() as usize].fetch_max(claim.floor(), Ordering::SeqCst);
            assert!(before < claim.floor(), "tag {} gives {} again", claim.tag(), claim.floor());
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(fight);
        scope.spawn(fight);
    });
}
