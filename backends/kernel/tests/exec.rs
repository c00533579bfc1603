//! What the interpreter of kernels refuses, and how kernels read as text.
use weft_ir::DType;
use weft_kernel::math::{self, Function};
use weft_kernel::nest::exec::{self, Argument, Block, Fault};
use weft_kernel::nest::{
    Access, Binary, Builder, Cache, Compare, Hint, Kernel, Op, Reduce, Scalar, Stmt, Ty,
};

/// Runs one task on an input of 20 numbers and an output of 20; the output.
fn run(kernel: &Kernel) -> Result<Block, Fault> {
    let input = (0..20).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let mut blocks = [Block::new(input), Block::undefined(80)];
    let args = [0, 1].map(|block| Argument { block, offset: 0 });
    match exec::run(kernel, &mut blocks, &args, &[], 0..1) {
        Ok(()) => Ok(blocks[1].clone()),
        Err(error) => Err(error.fault),
    }
}

/// A kernel over an input and an output.
fn kernel(write: impl FnOnce(&mut Builder, [weft_kernel::nest::BufferId; 2])) -> Kernel {
    let mut b = Builder::new("sample", "by hand");
    let buffers = [b.buffer("from", DType::F32, Access::Read), b.buffer("to", DType::F32, Access::Write)];
    write(&mut b, buffers);
    b.finish()
}

#[test]
fn an_access_outside_is_found() {
    let beyond = |index: i64, lanes: u32| {
        kernel(|b, [from, to]| {
            let at = b.index(index);
            let x = b.load(from, at, 2, lanes);
            let start = b.index(0);
            b.store(to, start, 0, x);
        })
    };
    assert!(run(&beyond(2, 16)).is_ok());
    let outside = |index| Err(Fault::Outside { buffer: "from".to_string(), index, length: 20 });
    assert_eq!(run(&beyond(3, 16)), outside(20));
    assert_eq!(run(&beyond(-3, 1)), outside(-1));
}

#[test]
fn a_mask_keeps_lanes_inside() {
    let masked = kernel(|b, [from, to]| {
        let (at, four) = (b.index(16), b.index(4));
        let mask = b.first_lanes(four, 16);
        let x = b.load_masked(from, at, 0, 16, Some(mask));
        b.store_masked(to, at, 0, x, Some(mask));
    });
    let out = run(&masked).unwrap();
    assert_eq!(out.bytes()[64..68], 16f32.to_le_bytes());
    assert_eq!(out.first_unwritten(80), Some(0));
}

#[test]
fn what_nobody_wrote_decides_nothing() {
    let garbage = |decides: bool| {
        kernel(|b, [_, to]| {
            let own = b.buffer("own", DType::F32, Access::Local(4));
            let (zero, limit) = (b.index(0), b.f32(1, 1.0));
            let x = b.load(own, zero, 1, 1);
            if decides {
                let below = b.compare(Compare::Lt, x, limit);
                b.when(below, |b| b.store(to, zero, 0, limit));
            } else {
                b.store(to, zero, 0, x);
            }
        })
    };
    assert_eq!(run(&garbage(true)), Err(Fault::Undefined("a condition".to_string())));
    assert_eq!(run(&garbage(false)).unwrap().first_unwritten(4), Some(0));
}

#[test]
fn registers_end_with_their_body() {
    let mut b = Builder::new("sample", "by hand");
    let (from, to) = (b.buffer("from", DType::F32, Access::Read), b.buffer("to", DType::F32, Access::Write));
    let (zero, two) = (b.index(0), b.index(2));
    let mut inner = None;
    b.for_each(zero, two, 1, Hint::AsWritten, |b, i| inner = Some(b.load(from, i, 0, 1)));
    b.store(to, zero, 0, inner.unwrap());
    let found = run(&b.finish());
    assert!(matches!(found, Err(Fault::Unset(_))), "{found:?}");
}

#[test]
fn what_no_processor_defines_is_refused() {
    let both = |op: Binary, x: i64, y: i64| {
        kernel(|b, _| {
            let ty = Ty::scalar(DType::I32);
            let (x, y) = (b.constant(ty, Scalar::Int(x)), b.constant(ty, Scalar::Int(y)));
            b.binary(op, x, y);
        })
    };
    assert_eq!(run(&both(Binary::Div, 1, 0)), Err(Fault::Division));
    assert_eq!(run(&both(Binary::Rem, i32::MIN.into(), -1)), Err(Fault::Division));
    assert_eq!(run(&both(Binary::Shl, 1, 32)), Err(Fault::Shift));
    let to_input = kernel(|b, [from, _]| {
        let (at, x) = (b.index(0), b.f32(1, 0.0));
        b.store(from, at, 0, x);
    });
    assert_eq!(run(&to_input), Err(Fault::ReadOnly("from".to_string())));
}

#[test]
fn a_maximum_over_lanes_is_nan_where_one_is() {
    for (lanes, nan) in [(16, 0), (16, 15), (6, 3), (1, 0), (16, 99)] {
        let widest = kernel(|b, [from, to]| {
            let at = b.index(0);
            let x = b.load(from, at, 0, lanes);
            let y = math::across(b, Function::Max, x);
            b.store(to, at, 0, y);
        });
        let value = |i: u32| if i == nan { f32::NAN } else { i as f32 };
        let input = (0..20).flat_map(|i| value(i).to_le_bytes()).collect();
        let mut blocks = [Block::new(input), Block::undefined(80)];
        let args = [0, 1].map(|block| Argument { block, offset: 0 });
        exec::run(&widest, &mut blocks, &args, &[], 0..1).unwrap();
        let found = f32::from_le_bytes(blocks[1].bytes()[..4].try_into().unwrap());
        let expected = if nan == 99 { 15f32 } else { f32::NAN };
        assert_eq!(found.to_bits(), expected.to_bits(), "{lanes} lanes");
    }
}

/// Everything that a kernel can say.
fn everything() -> Kernel {
    let mut b = Builder::new("everything", "by hand");
    let from = b.buffer("from", DType::F32, Access::Read);
    let to = b.buffer("to", DType::F32, Access::Write);
    let own = b.buffer("own", DType::F32, Access::Local(16));
    let (n, four, zero) = (b.symbol("N"), b.index(4), b.index(0));
    let nought = b.f32(4, 0.0);
    let sum = b.var(nought);
    b.for_each(zero, n, 4, Hint::AsWritten, |b, i| {
        let left = b.sub(n, i);
        let mask = b.first_lanes(left, 4);
        let x = b.load_masked(from, i, 8, 4, Some(mask));
        let so_far = b.get(sum);
        let next = b.fma(x, x, so_far);
        b.set(sum, next);
        b.stmt(Stmt::Prefetch { buffer: from, index: i, offset: 64, into: Cache::First });
    });
    let total = b.get(sum);
    b.store(own, zero, 0, total);
    let (whole, bytes) = (Ty::vector(DType::I32, 4), DType::U8);
    let left = b.reinterpret(total, Ty::vector(bytes, 16));
    let (right, none) = (b.reinterpret(total, Ty::vector(DType::I8, 16)), b.constant(whole, Scalar::Int(0)));
    let dot = b.dot4(left, right, none);
    let dot = b.cast(dot, DType::F32);
    b.store(own, zero, 8, dot);
    let halves = b.constant(Ty::vector(DType::I16, 8), Scalar::Int(0));
    let pairs = b.dot2(left, right, halves);
    let pairs = b.pairs(pairs, none);
    let pairs = b.cast(pairs, DType::F32);
    b.store(own, zero, 8, pairs);
    let places = b.op(Ty::vector(DType::I64, 4), Op::Iota);
    let x = b.op(Ty::vector(DType::F32, 4), Op::Gather { buffer: own, index: places, mask: None });
    let x = b.op(Ty::vector(DType::F32, 2), Op::Shuffle(x, x, vec![1, 4]));
    let x = b.reduce(Reduce::Add, x);
    let small = b.compare(Compare::Lt, n, four);
    b.when_else(small, |b| b.store(to, zero, -1, x), |b| b.store(to, zero, 0, x));
    let x = b.splat(x, 4);
    b.stmt(Stmt::Scatter { buffer: to, index: places, value: x, mask: None });
    b.finish()
}

#[test]
fn kernels_read_well() {
    insta::assert_snapshot!(everything());
}

#[test]
fn the_maximum_with_a_constant_is_one_instruction() {
    let relu = kernel(|b, [from, to]| {
        let (at, zero) = (b.index(0), b.f32(1, 0.0));
        let zero = b.splat(zero, 16);
        let x = b.load(from, at, 0, 16);
        let y = math::emit(b, Function::Max, DType::F32, &[x, zero]);
        b.store(to, at, 0, y);
    });
    insta::assert_snapshot!(relu);
}

#[test]
fn an_exponential_is_fourteen_instructions() {
    let exp = kernel(|b, [from, to]| {
        let at = b.index(0);
        let x = b.load(from, at, 0, 16);
        let y = math::emit(b, Function::Exp, DType::F32, &[x]);
        b.store(to, at, 0, y);
    });
    insta::assert_snapshot!(exp);
}
