//! Random numbers that are written down, so that a good throw can be varied.

/// Random numbers. Those of one run are a tape; another run may begin from a copy of a good one.
pub(crate) struct Dice {
    state: u64,
    tape: Vec<u64>,
    /// What is thrown again, place by place; `None` is thrown anew.
    again: Vec<Option<u64>>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed, tape: Vec::new(), again: Vec::new() }
    }

    /// Begins a run: anew, or as a variation of one that was good.
    pub(crate) fn begin(&mut self, good: &[Vec<u64>]) {
        self.tape.clear();
        self.again.clear();
        if good.is_empty() || self.raw().is_multiple_of(3) {
            return;
        }
        let pick = (self.raw() % good.len() as u64) as usize;
        let odds = [4, 8, 16][(self.raw() % 3) as usize];
        let kept: Vec<bool> = good[pick].iter().map(|_| !self.raw().is_multiple_of(odds)).collect();
        self.again = good[pick].iter().zip(kept).map(|(throw, keep)| keep.then_some(*throw)).collect();
    }

    /// What was thrown since the run began.
    pub(crate) fn tape(&self) -> &[u64] {
        &self.tape
    }

    /// SplitMix64.
    fn raw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn throw(&mut self) -> u64 {
        let again = self.again.get(self.tape.len()).copied().flatten();
        let throw = again.unwrap_or_else(|| self.raw());
        self.tape.push(throw);
        throw
    }

    /// A number from 0 to before `count`; 0 if there is none.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.throw() % count.max(1) as u64) as usize
    }

    /// Whether one of so many throws falls so.
    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// One of several things.
    pub(crate) fn pick<T: Clone>(&mut self, things: &[T]) -> Option<T> {
        let at = self.below(things.len());
        things.get(at).cloned()
    }

    /// A number for data, not written down: it hardly matters for whether a rule fires.
    pub(crate) fn free(&mut self) -> u64 {
        self.raw()
    }

    /// Things in any order.
    pub(crate) fn shuffled<T: Clone>(&mut self, things: &[T]) -> Vec<T> {
        let mut things = things.to_vec();
        for last in (1..things.len()).rev() {
            let other = self.below(last + 1);
            things.swap(last, other);
        }
        things
    }
}
