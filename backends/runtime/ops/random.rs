//! Random numbers: RandomUniform, RandomNormal, Bernoulli and Multinomial.
//!
//! Element `i` of stream `s` under a seed is block `i` of Philox 4x32-10 with the seed as key and `s` as the upper
//! half of the counter: it does not depend on threads, sizes or earlier runs.
#![expect(unsafe_code, reason = "is called by generated code through pointers")]

use crate::abi::SessionHead;
use crate::ops::call::{Call, Stopped, answer};
use crate::sys;

/// A source of random numbers.
#[derive(Clone, Copy, Debug)]
pub struct Philox {
    seed: u64,
    stream: u64,
}

impl Philox {
    /// The numbers of `stream` under `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { seed, stream }
    }

    /// The 128 bits at `index`.
    pub fn block(self, index: u64) -> [u32; 4] {
        let mut key = [self.seed as u32, (self.seed >> 32) as u32];
        let mut state = [index as u32, (index >> 32) as u32, self.stream as u32, (self.stream >> 32) as u32];
        for _ in 0..10 {
            let first = 0xd251_1f53 * u64::from(state[0]);
            let second = 0xcd9e_8d57 * u64::from(state[2]);
            state = [
                (second >> 32) as u32 ^ state[1] ^ key[0],
                second as u32,
                (first >> 32) as u32 ^ state[3] ^ key[1],
                first as u32,
            ];
            key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
        }
        state
    }

    /// Two numbers in `0..1` at `index`, of 53 bits each.
    pub fn uniform(self, index: u64) -> [f64; 2] {
        let [a, b, c, d] = self.block(index).map(u64::from);
        [(a << 32 | b) >> 11, (c << 32 | d) >> 11].map(|bits| bits as f64 / (1_u64 << 53) as f64)
    }

    /// A number of the standard normal distribution at `index`.
    pub fn normal(self, index: u64) -> f64 {
        let [a, b] = self.uniform(index);
        sys::sqrt(-2.0 * sys::log(1.0 - a)) * sys::cos(core::f64::consts::TAU * b)
    }
}

/// Fills a tensor by the index of each element.
///
/// # Safety
/// Argument 0 and parameters 0 to 3 must be: result; elem, count, seed, stream.
unsafe fn fill(call: &mut Call<'_>, number: impl Fn(Philox, u64) -> f64) -> Result<usize, Stopped> {
    // SAFETY: the caller vouches for it.
    let (elem, count, seed, stream) = unsafe { (call.elem(0)?, call.size(1), call.param(2), call.param(3)) };
    // SAFETY: the caller vouches for it.
    let result = unsafe { call.output::<u8>(0, count * elem.bytes()) };
    let philox = Philox::new(seed as u64, stream as u64);
    for index in 0..count {
        elem.store(result, index, elem.from_f64(number(philox, index as u64)));
    }
    Ok(count)
}

/// RandomUniform: numbers in `low..high`.
///
/// `args`: result. `params`: elem, count, seed, stream, low and high (each the bits of an f64).
///
/// # Safety
/// See [`crate::ops`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_random_uniform(
    head: *mut SessionHead,
    args: *const *mut u8,
    params: *const i64,
) -> i64 {
    // SAFETY: as documented.
    let mut call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    let [low, high] = [4, 5].map(|index| f64::from_bits(unsafe { call.param(index) } as u64));
    // SAFETY: as documented.
    answer(unsafe { fill(&mut call, |philox, index| low + (high - low) * philox.uniform(index)[0]) })
}

/// RandomNormal: numbers of a normal distribution.
///
/// `args`: result. `params`: elem, count, seed, stream, mean and scale (each the bits of an f64).
///
/// # Safety
/// See [`crate::ops`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_random_normal(
    head: *mut SessionHead,
    args: *const *mut u8,
    params: *const i64,
) -> i64 {
    // SAFETY: as documented.
    let mut call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    let [mean, scale] = [4, 5].map(|index| f64::from_bits(unsafe { call.param(index) } as u64));
    // SAFETY: as documented.
    answer(unsafe { fill(&mut call, |philox, index| mean + scale * philox.normal(index)) })
}

/// Bernoulli: one with the probability that the data says, else zero.
///
/// `args`: result, probabilities. `params`: elem of the result, count, seed, stream, elem of the probabilities.
///
/// # Safety
/// See [`crate::ops`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_bernoulli(
    head: *mut SessionHead,
    args: *const *mut u8,
    params: *const i64,
) -> i64 {
    // SAFETY: as documented.
    let mut call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    let Ok(elem) = (unsafe { call.elem(4) }) else { return -1 };
    // SAFETY: as documented.
    let data = unsafe { call.input::<u8>(1, call.size(1) * elem.bytes()) };
    let draw = |philox: Philox, index: u64| {
        let probability = elem.to_f64(elem.load(data, index as usize));
        f64::from(u8::from(philox.uniform(index)[0] < probability))
    };
    // SAFETY: as documented.
    answer(unsafe { fill(&mut call, draw) })
}

/// Multinomial: classes drawn by unnormalised log-probabilities `[batch, classes]`, as `[batch, samples]`.
///
/// `args`: result, log-probabilities. `params`: elem of the result, count (batch * samples), seed, stream, elem of the
/// log-probabilities, classes, samples.
///
/// # Safety
/// See [`crate::ops`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_multinomial(
    head: *mut SessionHead,
    args: *const *mut u8,
    params: *const i64,
) -> i64 {
    // SAFETY: as documented.
    let mut call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    let [count, classes, samples] = [1, 5, 6].map(|index| unsafe { call.size(index) });
    // SAFETY: as documented.
    let Ok(elem) = (unsafe { call.elem(4) }) else { return -1 };
    let samples = samples.max(1);
    // SAFETY: as documented.
    let data = unsafe { call.input::<u8>(1, count / samples * classes * elem.bytes()) };
    let draw = |philox: Philox, index: u64| {
        let row = index as usize / samples * classes;
        let logit = |class: usize| elem.to_f64(elem.load(data, row + class));
        let most = (0..classes).map(logit).fold(f64::NEG_INFINITY, f64::max);
        let weight = |class: usize| sys::exp(logit(class) - most);
        let mut left = philox.uniform(index)[0] * (0..classes).map(weight).sum::<f64>();
        let drawn = (0..classes).find(|&class| {
            left -= weight(class);
            left < 0.0
        });
        drawn.unwrap_or(classes.saturating_sub(1)) as f64
    };
    // SAFETY: as documented.
    answer(unsafe { fill(&mut call, draw) })
}
