//! How many requests of a session are counted, and how.
//!
//! The count is a variable of the session, in an application of the guard's own, because that is all that fresh instances,
//! several instances and several hosts share. To store it with each request would cost a save for each request. So while a session
//! has made less than half of the requests that it may, one request in `weight` is counted, chosen at random, as that many; from
//! then on each one is. A visitor who stays below half costs one save in `weight` requests. A session is never refused before it
//! made half of its requests, and on average when it made all.

/// So many counted requests make half of the limit.
const STEPS: u32 = 16;

/// A limit of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    requests: u32,
    window: u32,
}

/// What counts the requests of one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The variable: the number of the window since 1970.
    pub variable: String,
    /// When it ends, in seconds from now.
    pub ends_in: u64,
}

impl Rate {
    /// A number of requests, and the window in seconds that they may be made in. Neither can be 0.
    pub fn new(requests: u32, window: u32) -> Self {
        Self { requests, window: window.max(1) }
    }

    /// The window at a time in seconds since 1970.
    pub fn window_at(self, now: u64) -> Window {
        let length = u64::from(self.window);
        Window { variable: (now / length).to_string(), ends_in: length - now % length }
    }

    /// Whether this count of requests uses up the window.
    pub fn is_exceeded(self, counted: i64) -> bool {
        counted >= i64::from(self.requests)
    }

    /// What to add to the count for a request: nothing if it is not counted. `random` is any number with the same probability.
    pub fn to_add(self, counted: i64, random: u64) -> Option<i64> {
        let weight = self.weight(counted);
        random.is_multiple_of(u64::from(weight)).then_some(i64::from(weight))
    }

    /// How many requests a counted one stands for.
    fn weight(self, counted: i64) -> u32 {
        let (half, weight) = (self.requests / 2, (self.requests / 2 / STEPS).max(1));
        if counted + i64::from(weight) <= i64::from(half) { weight } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests that a session makes until it is refused, and how many of them were saved.
    fn until_refused(rate: Rate, random: &mut impl FnMut() -> u64) -> (u32, u32) {
        let (mut counted, mut made, mut saved) = (0, 0, 0);
        while !rate.is_exceeded(counted) {
            made += 1;
            if let Some(more) = rate.to_add(counted, random()) {
                counted += more;
                saved += 1;
            }
        }
        (made, saved)
    }

    /// SplitMix64, with a fixed seed.
    fn random() -> impl FnMut() -> u64 {
        let mut state = 0_u64;
        move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }
    }

    #[test]
    fn windows_follow_each_other() {
        let rate = Rate::new(10, 60);
        assert_eq!(rate.window_at(120), Window { variable: "2".to_owned(), ends_in: 60 });
        assert_eq!(rate.window_at(179), Window { variable: "2".to_owned(), ends_in: 1 });
        assert_eq!(rate.window_at(180), Window { variable: "3".to_owned(), ends_in: 60 });
    }

    #[test]
    fn a_small_limit_is_exact() {
        for requests in [1, 2, 3, 10, 63] {
            assert_eq!(until_refused(Rate::new(requests, 60), &mut random()), (requests, requests));
        }
    }

    #[test]
    fn no_session_is_refused_before_half_of_its_requests() {
        let mut random = random();
        for requests in [64, 100, 600, 10_000] {
            for _ in 0..200 {
                let (made, _) = until_refused(Rate::new(requests, 60), &mut random);
                assert!(made > requests / 2, "{made} of {requests}");
            }
            // Not even if each is counted by chance.
            let (made, _) = until_refused(Rate::new(requests, 60), &mut || 0);
            assert!(made > requests / 2, "{made} of {requests}");
        }
    }

    #[test]
    fn a_session_is_refused_at_its_limit_on_average() {
        let mut random = random();
        for requests in [100, 600, 10_000] {
            let runs = 500;
            let made: u32 = (0..runs).map(|_| until_refused(Rate::new(requests, 60), &mut random).0).sum();
            let average = f64::from(made) / f64::from(runs);
            let off = (average / f64::from(requests) - 1.0).abs();
            assert!(off < 0.03, "{average} of {requests}");
        }
    }

    #[test]
    fn a_visitor_below_half_costs_few_saves() {
        let (rate, mut random) = (Rate::new(600, 60), random());
        let (visitors, requests) = (500, 100);
        let mut saved = 0;
        for _ in 0..visitors {
            let mut counted = 0;
            for _ in 0..requests {
                if let Some(more) = rate.to_add(counted, random()) {
                    counted += more;
                    saved += 1;
                }
            }
        }
        let share = f64::from(saved) / f64::from(visitors * requests);
        assert!(share < 1.0 / 16.0, "{share} of all requests are saved");
    }
}
