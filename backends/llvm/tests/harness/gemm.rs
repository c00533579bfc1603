//! A matrix product as a nest, and the loop that shows what the processor can do at most.
#![allow(dead_code, reason = "every file uses a part")]
use weft_ir::DType;
use weft_kernel::nest::{Access, BufferId, Builder, Hint, Kernel, Reg, Scalar, Ty, Var};

/// The shape of a product `[m, k] x [k, columns]`, the second operand packed in panels of `vectors` vectors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) rows: u32,
    pub(crate) vectors: u32,
    pub(crate) lanes: u32,
    pub(crate) depth: i64,
    pub(crate) columns: i64,
}

impl Shape {
    pub(crate) fn panel(&self) -> i64 {
        i64::from(self.vectors * self.lanes)
    }
}

/// One task is one block of rows against all panels.
pub(crate) fn product(shape: Shape) -> Kernel {
    let mut b = Builder::new("gemm", &format!("gemm {}x{}", shape.rows, shape.panel()));
    let a = b.buffer("a", DType::F32, Access::Read);
    let packed = b.buffer("b", DType::F32, Access::Read);
    let c = b.buffer("c", DType::F32, Access::Write);
    let rows = i64::from(shape.rows);
    let (task, zero) = (b.task(), b.index(0));
    let (a_step, c_step) = (b.index(rows * shape.depth), b.index(rows * shape.columns));
    let (a_row, c_row) = (b.mul(task, a_step), b.mul(task, c_step));
    let columns = b.index(shape.columns);
    b.for_each(zero, columns, shape.panel(), Hint::AsWritten, |b, column| {
        let sums = zeros(b, shape);
        let depth = b.index(shape.depth);
        let panel = b.mul(column, depth);
        b.for_each(zero, depth, 1, Hint::AsWritten, |b, k| {
            let width = b.index(shape.panel());
            let across = b.mul(k, width);
            let at = b.add(panel, across);
            let right: Vec<Reg> = (0..shape.vectors)
                .map(|v| b.load(packed, at, i64::from(v * shape.lanes), shape.lanes))
                .collect();
            let left = b.add(a_row, k);
            for row in 0..shape.rows {
                let one = b.load(a, left, i64::from(row) * shape.depth, 1);
                let all = b.splat(one, shape.lanes);
                for (v, right) in right.iter().enumerate() {
                    let sum = sums[(row * shape.vectors) as usize + v];
                    let so_far = b.get(sum);
                    let next = b.fma(all, *right, so_far);
                    b.set(sum, next);
                }
            }
        });
        let to = b.add(c_row, column);
        store(b, shape, c, to, &sums);
    });
    b.finish()
}

fn store(b: &mut Builder, shape: Shape, c: BufferId, to: Reg, sums: &[Var]) {
    for (i, sum) in (0u32..).zip(sums) {
        let (row, v) = (i / shape.vectors, i % shape.vectors);
        let value = b.get(*sum);
        let offset = i64::from(row) * shape.columns + i64::from(v * shape.lanes);
        b.store(c, to, offset, value);
    }
}

fn zeros(b: &mut Builder, shape: Shape) -> Vec<Var> {
    let ty = Ty::vector(DType::F32, shape.lanes);
    (0..shape.rows * shape.vectors)
        .map(|_| {
            let zero = b.constant(ty, Scalar::Float(0.0));
            b.var(zero)
        })
        .collect()
}

/// A task does `rounds * chains` fused multiply-adds of `lanes` lanes, in chains that wait for nothing
/// but themselves.
pub(crate) fn peak(lanes: u32, chains: u32, rounds: i64) -> Kernel {
    let mut b = Builder::new("peak", "peak");
    let from = b.buffer("from", DType::F32, Access::Read);
    let to = b.buffer("to", DType::F32, Access::Write);
    let zero = b.index(0);
    let factor = b.load(from, zero, 0, lanes);
    let addend = b.load(from, zero, i64::from(lanes), lanes);
    let chains: Vec<Var> = (0..chains)
        .map(|i| {
            let first = b.load(from, zero, i64::from((i + 2) * lanes), lanes);
            b.var(first)
        })
        .collect();
    let end = b.index(rounds);
    b.for_each(zero, end, 1, Hint::AsWritten, |b, _| {
        for chain in &chains {
            let value = b.get(*chain);
            let next = b.fma(factor, value, addend);
            b.set(*chain, next);
        }
    });
    for (i, chain) in chains.iter().enumerate() {
        let value = b.get(*chain);
        b.store(to, zero, i as i64 * i64::from(lanes), value);
    }
    b.finish()
}
