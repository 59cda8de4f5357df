//! Cost of timer operations in ns, by the number of live timers; medians of five rounds.
//!
//! Deadlines are uniform over a minute. Keys are visited in the order of creation, in the "rnd" rows
//! in random order, where the cache misses of a million nodes show. "fire" drives the structure as a
//! loop does that is never late: one turn of resolve, expiry pass and next deadline for every single
//! deadline, keys in random order. "fire 1 ms" is a loop that is always a millisecond late, "fire packed" has all
//! deadlines within one millisecond, the worst case.

use std::hint::black_box;
use std::time::Instant;

use tidegate_reactor::base::timers::{TimerKey, Timers};

const SPREAD_NS: u64 = 60_000_000_000;
const START_NS: i64 = 1_000_000_000_000;
const ROUNDS: usize = 5;
/// Small sizes are repeated within a round until about this many operations were timed.
const OPERATIONS_PER_ROUND: usize = 500_000;
const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
const NAMES: [&str; 12] = [
    "create",
    "insert",
    "re-arm",
    "cancel",
    "push back",
    "resolve",
    "cancel rnd",
    "push rnd",
    "resolve rnd",
    "fire",
    "fire 1 ms",
    "fire packed",
];

/// xorshift64*: enough for spreading deadlines, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    fn deadlines(&mut self, count: usize, spread: u64) -> Vec<i64> {
        (0..count).map(|_| START_NS + self.below(spread) as i64).collect()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// Nanoseconds of one call of `work`.
fn timed(work: impl FnOnce()) -> u128 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_nanos()
}

/// A loop's life from `START_NS` until nothing is armed; `lateness` is how late each turn comes.
fn run_down(timers: &mut Timers, lateness: i64) -> usize {
    let mut fired = 0;
    while let Some(next) = timers.next_deadline() {
        let now = next + lateness;
        timers.resolve(now);
        timers.begin_expiry(now);
        while let Some(due) = timers.pop_due() {
            assert!(black_box(due).deadline <= now);
            fired += 1;
        }
    }
    fired
}

fn arm_all(timers: &mut Timers, keys: &[TimerKey], deadlines: &[i64]) {
    timers.resolve(START_NS);
    for (&key, &deadline) in keys.iter().zip(deadlines) {
        timers.arm(key, deadline);
    }
}

fn push_back_all(timers: &mut Timers, keys: &[TimerKey]) {
    keys.iter().for_each(|&key| timers.push_back(key, SPREAD_NS as i64));
}

/// One pass over every operation with `count` timers; adds the ns to `sums`.
fn measure(count: usize, random: &mut Random, sums: &mut [u128; NAMES.len()]) {
    let deadlines = random.deadlines(count, SPREAD_NS);
    let later = random.deadlines(count, SPREAD_NS);
    let packed = random.deadlines(count, 1_000_000);
    let mut timers = Timers::new();
    let mut keys = Vec::with_capacity(count);
    sums[0] += timed(|| keys.extend((0..count).map(|owner| timers.create(owner as u64).unwrap())));
    sums[1] += timed(|| arm_all(&mut timers, &keys, &deadlines));
    sums[2] += timed(|| arm_all(&mut timers, &keys, &later));
    for column in [3, 6] {
        sums[column] += timed(|| keys.iter().for_each(|&key| timers.cancel(key)));
        assert_eq!(timers.armed_count(), 0);
        arm_all(&mut timers, &keys, &deadlines);
        sums[column + 1] += timed(|| push_back_all(&mut timers, &keys));
        sums[column + 2] += timed(|| timers.resolve(START_NS + 1));
        random.shuffle(&mut keys);
    }
    for (column, (deadlines, lateness)) in
        [(&deadlines, 0), (&deadlines, 1_000_000), (&packed, 0)].into_iter().enumerate()
    {
        keys.iter().for_each(|&key| timers.cancel(key));
        arm_all(&mut timers, &keys, deadlines);
        sums[9 + column] += timed(|| assert_eq!(run_down(&mut timers, lateness), count));
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// ns per operation, in the order of `NAMES`.
fn size_column(count: usize) -> Vec<f64> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let repeats = (OPERATIONS_PER_ROUND / count).max(1);
    let mut rounds = vec![Vec::new(); NAMES.len()];
    measure(count, &mut random, &mut [0; NAMES.len()]);
    for _ in 0..ROUNDS {
        let mut sums = [0; NAMES.len()];
        (0..repeats).for_each(|_| measure(count, &mut random, &mut sums));
        for (row, sum) in rounds.iter_mut().zip(sums) {
            row.push(sum as f64 / (repeats * count) as f64);
        }
    }
    rounds.into_iter().map(median).collect()
}

fn main() {
    let columns: Vec<Vec<f64>> = SIZES.iter().map(|&count| size_column(count)).collect();
    println!("ns per operation, medians of {ROUNDS} rounds");
    print!("{:<12}", "live timers");
    SIZES.iter().for_each(|count| print!("{count:>12}"));
    println!("{:>14}", "largest/least");
    for (row, name) in NAMES.iter().enumerate() {
        print!("{name:<12}");
        columns.iter().for_each(|column| print!("{:>12.1}", column[row]));
        println!("{:>14.2}", columns[SIZES.len() - 1][row] / columns[0][row]);
    }
}
