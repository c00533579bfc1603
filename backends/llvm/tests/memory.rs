//! Memory and control flow in kernels: loops, arrays, gathers and scatters, shuffles, reductions.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]
mod harness;

use harness::cases::{Case, check, processors};
use harness::run;
use std::slice::from_ref;
use weft_backend::OptLevel;
use weft_ir::{DType, Tensor};
use weft_kernel::nest::{
    Access, Binary, BufferId, Builder, Cache, Compare, Hint, Kernel, Op, Reduce, Reg, Scalar, Stmt, Ty, Var,
};

const LEVELS: [OptLevel; 4] = [OptLevel::O0, OptLevel::O1, OptLevel::O2, OptLevel::O3];

/// Runs a kernel of one input and one output everywhere.
fn expect(kernel: &Kernel, input: &Tensor, expected: &Tensor, tasks: i64) {
    let output = (expected.dtype(), expected.dims().to_vec());
    let run = |cpu: &str, level| {
        let found = run(kernel.clone(), from_ref(input), from_ref(&output), tasks, cpu, level);
        assert_eq!(found[0].data(), expected.data(), "{cpu} {level:?}: {:?}", found[0].to_f64s());
    };
    processors().into_iter().for_each(|cpu| run(cpu, OptLevel::O2));
    LEVELS.into_iter().for_each(|level| run("native", level));
}

fn buffers(b: &mut Builder, from: DType, to: DType) -> (BufferId, BufferId) {
    (b.buffer("from", from, Access::Read), b.buffer("to", to, Access::Write))
}

fn numbers(count: usize) -> Tensor {
    Tensor::vector(&(0..count).map(|i| (i * 7 % 31) as f32 - 9.0).collect::<Vec<_>>())
}

#[test]
fn gathers_reverse_and_scatters_put_back() {
    for elem in [DType::F32, DType::I64, DType::U8, DType::Bool, DType::F16] {
        let mut b = Builder::new("reverse", "gather");
        let (from, to) = buffers(&mut b, elem, elem);
        let (zero, end) = (b.index(0), b.index(21));
        b.for_each(zero, end, 8, Hint::AsWritten, |b, i| {
            let lanes = Ty::vector(DType::I64, 8);
            let left = b.sub(end, i);
            let mask = Some(b.first_lanes(left, 8));
            let (iota, first) = (b.op(lanes, Op::Iota), b.splat(i, 8));
            let at = b.binary(Binary::Add, iota, first);
            let last = b.constant(lanes, Scalar::Int(20));
            let mirrored = b.binary(Binary::Sub, last, at);
            let x = b.op(Ty::vector(elem, 8), Op::Gather { buffer: from, index: mirrored, mask });
            b.stmt(Stmt::Scatter { buffer: to, index: at, value: x, mask });
        });
        let width = (elem.bits() / 8) as usize;
        let bytes: Vec<u8> =
            (0..21 * width).map(|i| if elem == DType::Bool { i as u8 % 2 } else { i as u8 }).collect();
        let turned: Vec<u8> = bytes.chunks(width).rev().flatten().copied().collect();
        let tensor = |bytes: Vec<u8>| Tensor::new(elem, vec![21], bytes.into()).unwrap();
        expect(&b.finish(), &tensor(bytes), &tensor(turned), 1);
    }
}

#[test]
fn arrays_hold_a_task_s_own_data() {
    let mut b = Builder::new("transpose", "through an array");
    let (from, to) = buffers(&mut b, DType::F32, DType::F32);
    let array = b.buffer("tile", DType::F32, Access::Local(16));
    let task = b.task();
    let (zero, four, sixteen) = (b.index(0), b.index(4), b.index(16));
    let base = b.mul(task, sixteen);
    b.for_each(zero, four, 1, Hint::AsWritten, |b, i| {
        let row = b.mul(i, four);
        let at = b.add(base, row);
        let x = b.load(from, at, 0, 4);
        b.store(array, row, 0, x);
        b.stmt(Stmt::Prefetch { buffer: from, index: at, offset: 4, into: Cache::First });
    });
    b.for_each(zero, four, 1, Hint::Free, |b, i| {
        b.for_each(zero, four, 1, Hint::Free, |b, j| {
            let row = b.mul(j, four);
            let at = b.add(row, i);
            let x = b.load(array, at, 0, 1);
            let row = b.mul(i, four);
            let at = b.add(row, j);
            let at = b.add(base, at);
            b.store(to, at, 0, x);
        });
    });
    let x = numbers(48);
    let values = x.to_vec::<f32>().unwrap();
    let turned = |i: usize| values[i / 16 * 16 + i % 4 * 4 + i / 4 % 4];
    expect(&b.finish(), &x, &Tensor::vector(&(0..48).map(turned).collect::<Vec<_>>()), 3);
}

#[test]
fn shuffles_pick_lanes() {
    let mut b = Builder::new("shuffle", "shuffle");
    let (from, to) = buffers(&mut b, DType::F32, DType::F32);
    let zero = b.index(0);
    let (x, y) = (b.load(from, zero, 0, 8), b.load(from, zero, 8, 8));
    let mixed = b.op(Ty::vector(DType::F32, 4), Op::Shuffle(x, y, vec![15, 0, 8, 7]));
    b.store(to, zero, 0, mixed);
    let lane = b.op(Ty::scalar(DType::F32), Op::Lane(y, 3));
    b.store(to, zero, 4, lane);
    let pair = b.op(Ty::vector(DType::F32, 2), Op::Shuffle(lane, lane, vec![0, 1]));
    b.store(to, zero, 5, pair);
    let one = b.op(Ty::scalar(DType::F32), Op::Shuffle(x, y, vec![9]));
    b.store(to, zero, 7, one);
    let x = numbers(16);
    let v = x.to_vec::<f32>().unwrap();
    let expected = [v[15], v[0], v[8], v[7], v[11], v[11], v[11], v[9]];
    expect(&b.finish(), &x, &Tensor::vector(&expected), 1);
}

#[test]
fn reductions_fold_all_lanes() {
    let values: Vec<f32> = (0..16).map(|i| [3.0, -2.0, 0.5, 4.0][i % 4] + i as f32).collect();
    for lanes in [16u32, 12, 7, 1] {
        let mut b = Builder::new("reduce", "reduce");
        let (from, to) = buffers(&mut b, DType::F32, DType::F32);
        let zero = b.index(0);
        let x = b.load(from, zero, 0, lanes);
        for (i, op) in [Reduce::Add, Reduce::Min, Reduce::Max].into_iter().enumerate() {
            let folded = b.reduce(op, x);
            b.store(to, zero, i as i64, folded);
        }
        let part = &values[..lanes as usize];
        let least = part.iter().copied().fold(f32::MAX, f32::min);
        let expected = [part.iter().sum(), least, part.iter().copied().fold(f32::MIN, f32::max)];
        expect(&b.finish(), &Tensor::vector(&values), &Tensor::vector(&expected), 1);
    }
}

#[test]
fn truth_values_reduce() {
    let mut b = Builder::new("any", "reduce");
    let (from, to) = buffers(&mut b, DType::I32, DType::Bool);
    let (task, sixteen) = (b.task(), b.index(16));
    let at = b.mul(task, sixteen);
    let x = b.load(from, at, 0, 16);
    let positive = b.cast(x, DType::Bool);
    let (any, all) = (b.reduce(Reduce::Or, positive), b.reduce(Reduce::And, positive));
    let two = b.index(2);
    let at = b.mul(task, two);
    b.store(to, at, 0, any);
    b.store(to, at, 1, all);
    let values: Vec<i32> = (0..48).map(|i| if i < 16 { 0 } else { i - 20 + i / 32 * 100 }).collect();
    let expected = Tensor::vector(&[false, false, true, false, true, true]);
    expect(&b.finish(), &Tensor::vector(&values), &expected, 3);
}

/// How many steps a number takes to 1, by a loop that does nothing once it is there.
fn collatz() -> Kernel {
    let mut b = Builder::new("collatz", "scalar");
    let (from, to) = buffers(&mut b, DType::I64, DType::I64);
    let task = b.task();
    let (zero, one) = (b.index(0), b.index(1));
    let first = b.load(from, task, 0, 1);
    let (n, steps) = (b.var(first), b.var(zero));
    let bound = b.index(200);
    b.for_each(zero, bound, 1, Hint::AsWritten, |b, _| {
        let now = b.get(n);
        let going = b.compare(Compare::Ne, now, one);
        b.when(going, |b| {
            let count = b.get(steps);
            let count = b.add(count, one);
            b.set(steps, count);
            collatz_step(b, n);
        });
    });
    let count = b.get(steps);
    b.store(to, task, 0, count);
    b.finish()
}

fn collatz_step(b: &mut Builder, n: Var) {
    let (one, two, three) = (b.index(1), b.index(2), b.index(3));
    let now = b.get(n);
    let odd = b.binary(Binary::And, now, one);
    let odd = b.cast(odd, DType::Bool);
    b.when_else(
        odd,
        |b| {
            let next = b.binary(Binary::Mul, now, three);
            let next = b.add(next, one);
            b.set(n, next);
        },
        |b| {
            let next = b.div(now, two);
            b.set(n, next);
        },
    );
}

#[test]
fn branches_and_variables() {
    let steps = |mut n: i64| {
        let mut steps = 0i64;
        while n != 1 {
            n = if n % 2 == 1 { 3 * n + 1 } else { n / 2 };
            steps += 1;
        }
        steps
    };
    let values: Vec<i64> = (1..40).collect();
    let expected: Vec<i64> = values.iter().map(|n| steps(*n)).collect();
    expect(&collatz(), &Tensor::vector(&values), &Tensor::vector(&expected), 39);
}

#[test]
fn offsets_reach_before_the_index() {
    let mut b = Builder::new("shift", "shift");
    let (from, to) = buffers(&mut b, DType::F32, DType::F32);
    let (start, end) = (b.index(-2), b.index(14));
    b.for_each(start, end, 4, Hint::AsWritten, |b, i| {
        let x = b.load(from, i, 2, 4);
        let one = b.index(16);
        let up = b.add(i, one);
        b.store(to, up, -14, x);
    });
    expect(&b.finish(), &numbers(16), &numbers(16), 1);
}

#[test]
fn scalar_masks_guard_memory() {
    let case = Case::new(
        "guarded",
        |b: &mut Builder, r: &[Reg]| {
            let ty = b.ty(r[0]);
            let zero = b.constant(ty, Scalar::Int(0));
            let some = b.compare(Compare::Lt, zero, r[0]);
            b.select(some, r[0], zero)
        },
        vec![0i32, 1, 2, 0, 4],
    );
    let operand = Tensor::vector(&[-5i32, 1, 2, -3, 4]);
    processors().into_iter().for_each(|cpu| {
        check(from_ref(&operand), 4, from_ref(&case), cpu, OptLevel::O2);
    });
    let mut b = Builder::new("scalar_mask", "mask");
    let (from, to) = buffers(&mut b, DType::F32, DType::F32);
    let task = b.task();
    let ten = b.index(10);
    let inside = b.compare(Compare::Lt, task, ten);
    let x = b.load_masked(from, task, 0, 1, Some(inside));
    b.store_masked(to, task, 0, x, Some(inside));
    expect(&b.finish(), &numbers(10), &numbers(10), 1000);
}

#[test]
fn loops_left_to_llvm_are_vectorised() {
    let mut b = Builder::new("scale", "generic map");
    let (from, to) = buffers(&mut b, DType::F32, DType::F32);
    let (zero, end) = (b.index(0), b.index(1000));
    b.for_each(zero, end, 1, Hint::Free, |b, i| {
        let x = b.load(from, i, 0, 1);
        let y = b.binary(Binary::Mul, x, x);
        b.store(to, i, 0, y);
    });
    let kernel = b.finish();
    let x = numbers(1000);
    let program = harness::program(kernel, &[x], &[(DType::F32, vec![1000])], 1);
    let folder = harness::folder();
    let emit = weft_backend::Emit::Asm;
    let options = weft_llvm::Options { emit, ..harness::library(&folder, "icelake-server") };
    assert!(weft_llvm::listing(&program, &options).unwrap().contains("vmulps\t%zmm"));
}
