//! Many operations at once: a kernel that applies each to the same operands, one output each.
#![allow(dead_code, reason = "every file uses a part")]
use super::run;
use weft_backend::OptLevel;
use weft_ir::{DType, Element, Tensor};
use weft_kernel::nest::{Access, Builder, Hint, Reg};

/// Writes an operation on the registers that hold the operands.
type Write = Box<dyn Fn(&mut Builder, &[Reg]) -> Reg>;

/// An operation on vectors of the operands, and what is expected of every element.
pub(crate) struct Case {
    pub(crate) label: String,
    pub(crate) write: Write,
    pub(crate) expected: Tensor,
}

impl Case {
    pub(crate) fn new<R: Element>(
        label: impl Into<String>,
        write: impl Fn(&mut Builder, &[Reg]) -> Reg + 'static,
        expected: Vec<R>,
    ) -> Self {
        Self { label: label.into(), write: Box::new(write), expected: Tensor::vector(&expected) }
    }
}

/// The processors that this machine can stand for.
pub(crate) fn processors() -> Vec<&'static str> {
    let native = weft_llvm::target("native").unwrap().level;
    [("x86-64", 0), ("x86-64-v2", 1), ("x86-64-v3", 2), ("x86-64-v4", 3)]
        .into_iter()
        .filter(|(_, level)| *level <= native as u32)
        .map(|(name, _)| name)
        .collect()
}

/// Runs all cases over operands of one length, in vectors with a masked tail, and compares.
pub(crate) fn check(operands: &[Tensor], lanes: u32, cases: &[Case], cpu: &str, level: OptLevel) {
    let mut b = Builder::new("cases", "cases");
    let length = operands[0].len();
    let from: Vec<_> = operands.iter().map(|t| b.buffer("in", t.dtype(), Access::Read)).collect();
    let to: Vec<_> = cases.iter().map(|c| b.buffer("out", c.expected.dtype(), Access::Write)).collect();
    let (start, end) = (b.index(0), b.index(length as i64));
    b.for_each(start, end, i64::from(lanes), Hint::AsWritten, |b, i| {
        let left = b.sub(end, i);
        let mask = if lanes == 1 { None } else { Some(b.first_lanes(left, lanes)) };
        let regs: Vec<Reg> = from.iter().map(|f| b.load_masked(*f, i, 0, lanes, mask)).collect();
        for (case, to) in cases.iter().zip(&to) {
            let value = (case.write)(b, &regs);
            b.store_masked(*to, i, 0, value, mask);
        }
    });
    let outputs: Vec<_> = cases.iter().map(|c| (c.expected.dtype(), c.expected.dims().to_vec())).collect();
    let found = run(b.finish(), operands, &outputs, 1, cpu, level);
    for (case, found) in cases.iter().zip(&found) {
        same(&format!("{} x{lanes} on {cpu}", case.label), operands, found, &case.expected);
    }
}

/// Fails unless two tensors hold the same bits, or NaN in the same places.
pub(crate) fn same(label: &str, operands: &[Tensor], found: &Tensor, expected: &Tensor) {
    let width = (found.dtype().bits() / 8) as usize;
    let chunks = found.data().chunks_exact(width).zip(expected.data().chunks_exact(width));
    for (i, (f, e)) in chunks.enumerate() {
        if f == e || (is_nan(found.dtype(), f) && is_nan(found.dtype(), e)) {
            continue;
        }
        let show = |t: &Tensor| {
            let width = (t.dtype().bits() / 8) as usize;
            t.data().get(i * width..(i + 1) * width).map(|bytes| one(t.dtype(), bytes))
        };
        let operands: Vec<_> = operands.iter().map(show).collect();
        panic!(
            "{label}, element {i} of {operands:?}: {} is not {}",
            one(found.dtype(), f),
            one(found.dtype(), e)
        );
    }
}

fn one(dtype: DType, bytes: &[u8]) -> String {
    let tensor = Tensor::new(dtype, vec![1], bytes.to_vec().into()).unwrap();
    format!("{:?} ({bytes:02x?})", tensor.to_f64s().unwrap()[0])
}

fn is_nan(dtype: DType, bytes: &[u8]) -> bool {
    dtype.is_float()
        && Tensor::new(dtype, vec![1], bytes.to_vec().into()).unwrap().to_f64s().unwrap()[0].is_nan()
}
