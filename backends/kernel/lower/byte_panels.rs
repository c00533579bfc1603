//! Packing of constant bytes into panels of quads, when the artifact is written.
use super::bytes::Constant;
use super::contract::{Axis, Right, offsets};
use crate::schedule::QUAD;
use bytes::Bytes;
use weft_ir::DType;

/// Constant bytes as the right-hand side of a product, with what is taken off them.
#[derive(Debug)]
pub(crate) struct Columns {
    data: Bytes,
    signed: bool,
    offset: i64,
    batch: Vec<(i64, i64)>,
    depth: Vec<(i64, i64)>,
    col: (i64, i64),
    /// The zero point of each column, by batch and column.
    zeros: Vec<i32>,
    /// What is taken off each column: the zero points, where all numbers fit an `i8` then.
    less: Vec<i32>,
    /// Columns of a panel.
    width: i64,
}

impl Columns {
    /// Nothing where extents are not known, or zero points neither one nor one a column.
    pub(crate) fn new(right: &Right, constant: &Constant, width: i64) -> Option<Self> {
        let Constant { data, dtype, zeros } = constant;
        let fixed = |axes: &[Axis]| -> Option<Vec<(i64, i64)>> {
            axes.iter().map(|(d, s)| d.as_fixed().zip(s.as_fixed())).collect()
        };
        let signed = *dtype == DType::I8;
        let number = |byte: u8| if signed { i32::from(byte as i8) } else { i32::from(byte) };
        let (batch, col) = (fixed(&right.batch)?, fixed(std::slice::from_ref(&right.col))?[0]);
        let count = batch.iter().map(|(d, _)| d).product::<i64>() * col.0;
        let zeros: Vec<i32> = match zeros.len() {
            1 => vec![number(zeros[0]); count as usize],
            length if length == count as usize => zeros.iter().map(|byte| number(*byte)).collect(),
            _ => return None,
        };
        let (low, high) =
            data.iter().map(|b| number(*b)).fold((0, 0), |(low, high), x| (low.min(x), high.max(x)));
        let fits = zeros.iter().all(|zero| low - zero >= -128 && high - zero <= 127);
        let less = if fits { zeros.clone() } else { vec![if signed { 0 } else { 128 }; count as usize] };
        let (offset, depth) = (right.offset.as_fixed()?, fixed(&right.depth)?);
        let data = data.clone();
        Some(Self { data, signed, offset, batch, depth, col, zeros, less, width })
    }

    /// Quads of the depth; the innermost axis is of whole ones.
    pub(crate) fn quads(&self) -> i64 {
        let (inner, outer) = self.inner();
        outer.iter().map(|(extent, _)| extent).product::<i64>() * super::bytes::quads(inner.0)
    }

    fn inner(&self) -> ((i64, i64), &[(i64, i64)]) {
        self.depth.split_last().map_or(((1, 1), &[]), |(inner, outer)| (*inner, outer))
    }

    fn panel_count(&self) -> i64 {
        (self.col.0 as u64).div_ceil(self.width as u64) as i64
    }

    fn batches(&self) -> i64 {
        self.batch.iter().map(|(extent, _)| extent).product()
    }

    /// Bytes of the panels.
    pub(crate) fn panel_bytes(&self) -> usize {
        (self.batches() * self.panel_count() * self.quads() * self.width * QUAD) as usize
    }

    /// Bytes of the sums.
    pub(crate) fn sum_bytes(&self) -> usize {
        self.zeros.len() * 4
    }

    /// A number less what is taken off its column.
    fn at(&self, at: i64, number: usize) -> i32 {
        let byte = self.data[at as usize];
        let whole = if self.signed { i32::from(byte as i8) } else { i32::from(byte) };
        whole - self.less[number]
    }

    /// `[batch, panel, depth, quad, column in panel, byte]`, filled up with zeros.
    pub(crate) fn panels(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.panel_bytes());
        let (inner, outer) = self.inner();
        for (number, batch) in offsets(&self.batch).into_iter().enumerate() {
            for first in (0..self.panel_count()).map(|panel| panel * self.width) {
                for outer in offsets(outer) {
                    for quad in 0..super::bytes::quads(inner.0) {
                        for col in first..first + self.width {
                            let start = self.offset + batch + outer + col * self.col.1;
                            let own = number * self.col.0 as usize + col as usize;
                            out.extend((quad * QUAD..(quad + 1) * QUAD).map(|step| {
                                let inside = step < inner.0 && col < self.col.0;
                                if inside { self.at(start + step * inner.1, own) as u8 } else { 0 }
                            }));
                        }
                    }
                }
            }
        }
        out
    }

    /// The sum of each column of what the panels hold, as `i32`.
    pub(crate) fn sums(&self) -> Vec<u8> {
        let depth = offsets(&self.depth);
        let mut out = Vec::with_capacity(self.sum_bytes());
        for (number, batch) in offsets(&self.batch).into_iter().enumerate() {
            for col in 0..self.col.0 {
                let start = self.offset + batch + col * self.col.1;
                let own = number * self.col.0 as usize + col as usize;
                let sum: i32 = depth.iter().map(|step| self.at(start + step, own)).sum();
                out.extend(sum.to_le_bytes());
            }
        }
        out
    }

    /// Whether something is left of the zero points.
    pub(crate) fn has_rest(&self) -> bool {
        self.zeros != self.less
    }

    /// What is left of the zero points, as `i32`.
    pub(crate) fn rest(&self) -> Vec<u8> {
        let rest = self.zeros.iter().zip(&self.less).map(|(zero, less)| zero - less);
        rest.flat_map(i32::to_le_bytes).collect()
    }

    /// Names a packed part by what it is made of and its name.
    pub(crate) fn key(&self, part: &str) -> [u8; 32] {
        let place = (self.offset, &self.batch, &self.depth, self.col, self.width);
        let shape = format!("{part} {place:?} {} {:?} {:?}", self.signed, self.zeros, self.less);
        let mut hasher = blake3::Hasher::new();
        hasher.update(shape.as_bytes()).update(&self.data);
        *hasher.finalize().as_bytes()
    }
}
