//! Buffers that live at the same time never overlap, and little memory is wasted.

use weft_runtime::abi::WeftLife;
use weft_runtime::plan::Planner;

/// A small generator of numbers, the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn plan(lives: &[WeftLife], sizes: &[u64]) -> Option<(u64, Vec<u64>)> {
    let mut planner = Planner::new(sizes.len())?;
    let total = planner.assign(lives, sizes)?;
    assert_eq!(planner.assign(lives, sizes), Some(total), "a second plan is the same");
    Some((total, planner.offsets().to_vec()))
}

fn meet(a: WeftLife, b: WeftLife) -> bool {
    a.first <= b.last && b.first <= a.last
}

/// What no plan can do without: the most that is alive at one step.
fn lower_bound(lives: &[WeftLife], sizes: &[u64]) -> u64 {
    let alive = |step: u32| {
        let alive = lives.iter().zip(sizes).filter(|(life, _)| life.first <= step && step <= life.last);
        alive.map(|(_, size)| size.next_multiple_of(64)).sum()
    };
    lives.iter().map(|life| alive(life.first)).max().unwrap_or(0)
}

fn check(lives: &[WeftLife], sizes: &[u64]) -> (u64, u64) {
    let (total, offsets) = plan(lives, sizes).expect("sizes are small");
    for a in 0..sizes.len() {
        assert_eq!(offsets[a] % 64, 0);
        assert!(offsets[a] + sizes[a] <= total);
        for b in 0..a {
            let apart = offsets[a] + sizes[a] <= offsets[b] || offsets[b] + sizes[b] <= offsets[a];
            assert!(
                apart || sizes[a] == 0 || sizes[b] == 0 || !meet(lives[a], lives[b]),
                "{a} and {b} overlap"
            );
        }
    }
    (total, lower_bound(lives, sizes))
}

#[test]
fn random_lives_never_overlap() {
    let mut numbers = Numbers(7);
    let (mut totals, mut bounds) = (0, 0);
    for _ in 0..300 {
        let count = numbers.below(60) as usize;
        let life = |numbers: &mut Numbers| {
            let first = numbers.below(100) as u32;
            WeftLife { first, last: first + numbers.below(12) as u32 }
        };
        let lives: Vec<_> = (0..count).map(|_| life(&mut numbers)).collect();
        let sizes: Vec<_> = (0..count).map(|_| numbers.below(5) * numbers.below(5000)).collect();
        let (total, bound) = check(&lives, &sizes);
        assert!(total >= bound);
        totals += total;
        bounds += bound;
    }
    assert!(totals * 100 <= bounds * 115, "{totals} is too far from {bounds}");
}

#[test]
fn a_chain_needs_two_buffers() {
    let lives: Vec<_> = (0..50).map(|step| WeftLife { first: step, last: step + 1 }).collect();
    assert_eq!(check(&lives, &[1000; 50]), (2048, 2048));
}

#[test]
fn nothing_and_zero_sizes() {
    assert_eq!(plan(&[], &[]), Some((0, vec![])));
    let life = WeftLife { first: 0, last: 9 };
    assert_eq!(plan(&[life, life, life], &[0, 64, 0]), Some((64, vec![0, 0, 0])));
}

#[test]
fn sizes_beyond_memory_are_refused() {
    let life = WeftLife { first: 0, last: 1 };
    assert_eq!(plan(&[life], &[u64::MAX]), None);
    assert_eq!(plan(&[life, life], &[1 << 62, 1 << 62]), None);
}
