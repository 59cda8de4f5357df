//! Rate limits: so many bytes a second, with a store for bursts.

/// A store that fills at a rate and never overflows.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// Bytes a second; 0: no limit.
    rate: u64,
    /// What the store holds when it is full.
    burst: u64,
    /// What it holds, in bytes times a second (in nanoseconds), so that slow rates lose nothing by rounding.
    filled: u128,
    /// When that was so.
    at_ns: i64,
}

const SECOND: u128 = 1_000_000_000;

/// Less than this much of a second's bytes is not worth a turn: at high rates some bytes are always there again, and a loop that
/// took them would never sleep.
const LEAST: u64 = 1000;

/// One who waits is let on when so much of a second's bytes is there: often enough to be smooth, seldom enough to be cheap.
const PART: u64 = 20;

impl Bucket {
    /// A full store; a burst of 0 is a second's bytes.
    pub fn new(rate: u64, burst: u64, now_ns: i64) -> Bucket {
        let burst = if burst == 0 { rate } else { burst };
        Bucket { rate, burst, filled: u128::from(burst) * SECOND, at_ns: now_ns }
    }

    /// How many bytes may pass now: none, unless it is worth while; [`u64::MAX`] without a limit.
    pub fn available(&mut self, now_ns: i64) -> u64 {
        self.available_of(now_ns, u64::MAX)
    }

    /// The same for one of several, who may have so much of it.
    pub fn available_of(&mut self, now_ns: i64, share: u64) -> u64 {
        if self.rate == 0 {
            return u64::MAX;
        }
        let elapsed = u128::from(now_ns.saturating_sub(self.at_ns).max(0).unsigned_abs());
        self.filled = (self.filled + elapsed * u128::from(self.rate)).min(u128::from(self.burst) * SECOND);
        self.at_ns = self.at_ns.max(now_ns);
        let bytes = (self.filled / SECOND) as u64;
        if bytes < self.part(LEAST).min(share) { 0 } else { bytes.min(share) }
    }

    /// One of so many parts of a second's bytes, as far as the store can hold it, and not nothing.
    fn part(&self, parts: u64) -> u64 {
        (self.rate / parts).clamp(1, self.burst.max(1))
    }

    /// So many have passed.
    pub fn take(&mut self, bytes: u64) {
        self.filled = self.filled.saturating_sub(u128::from(bytes) * SECOND);
    }

    /// How long it takes from nothing to what is worth going on with.
    pub fn pause_ns(&self) -> i64 {
        let bytes = u128::from(self.part(PART)) * SECOND;
        i64::try_from(bytes.div_ceil(u128::from(self.rate.max(1)))).unwrap_or(i64::MAX)
    }

    /// How long until it is worth going on; 0: at once.
    pub fn wait_ns(&mut self, now_ns: i64) -> i64 {
        let enough = self.part(PART);
        if self.available(now_ns) >= enough {
            return 0;
        }
        let missing = u128::from(enough) * SECOND - self.filled;
        i64::try_from(missing.div_ceil(u128::from(self.rate))).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_burst_and_the_rate() {
        for (rate, burst) in [(1, 1), (1000, 0), (1_000_000, 64), (7, 100), (u64::MAX, u64::MAX)] {
            let mut bucket = Bucket::new(rate, burst, 0);
            let (mut now, mut passed) = (0_i64, 0_u128);
            for _ in 0..1000 {
                let available = bucket.available(now);
                bucket.take(available);
                passed += u128::from(available);
                let most = u128::from(if burst == 0 { rate } else { burst }) + u128::from(rate) * now as u128 / SECOND;
                assert!(passed <= most, "{rate} {burst}: {passed} > {most} at {now}");
                let wait = bucket.wait_ns(now);
                assert!(wait > 0 || rate == u64::MAX);
                now += wait.max(1);
                assert!(bucket.available(now) > 0, "what was waited for is there");
            }
        }
    }

    #[test]
    fn what_trickles_in_is_not_worth_a_turn() {
        // mutation: `available` tells of every byte.
        let (mut bucket, mut now, mut passes, mut passed) = (Bucket::new(10_000_000, 500_000, 0), 0, 0, 0);
        while now < 1_000_000_000 {
            let available = bucket.available(now);
            bucket.take(available);
            passed += available;
            passes += u64::from(available > 0);
            now += 1000;
        }
        assert!(passes <= 1000, "{passes}");
        assert!(passed > 10_000_000, "{passed}");
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        let mut bucket = Bucket::new(0, 0, 0);
        assert_eq!(bucket.available(5), u64::MAX);
        bucket.take(u64::MAX);
        assert_eq!((bucket.available(6), bucket.wait_ns(6)), (u64::MAX, 0));
    }

    #[test]
    fn h55_a_clock_that_stands_or_goes_back_gives_nothing() {
        // mutation: take the elapsed time without a floor of 0.
        let mut bucket = Bucket::new(1000, 10, 50);
        let full = bucket.available(50);
        bucket.take(full);
        assert_eq!((bucket.available(50), bucket.available(-1000), bucket.available(50)), (0, 0, 0));
        assert_eq!(bucket.available(1_000_050), 1);
    }
}
