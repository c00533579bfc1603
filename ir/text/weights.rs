//! Tensors too large for the text: found by digest, or made up for a test.
use super::lex::{Cursor, ParseError, Token};
use super::literal::{is_inline, pack};
use crate::attr::Attr;
use crate::graph::{Graph, Node, NodeId};
use crate::module::Module;
use crate::tensor::Tensor;
use crate::types::{DType, Kind, TensorType};
use half::{bf16, f16};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most bytes that a made-up tensor may take.
const MAX_SYNTHETIC: u64 = 1 << 30;

/// Where the bytes of weights come from.
pub trait WeightSource {
    /// The tensor of that digest (see [`Tensor::digest`]); the text says it has type `ty`.
    fn get(&self, digest: &[u8; 32], ty: &TensorType) -> Option<Arc<Tensor>>;
}

/// There are no weights but those in the text.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWeights;

impl WeightSource for NoWeights {
    fn get(&self, _: &[u8; 32], _: &TensorType) -> Option<Arc<Tensor>> {
        None
    }
}

impl WeightSource for BTreeMap<[u8; 32], Arc<Tensor>> {
    fn get(&self, digest: &[u8; 32], _: &TensorType) -> Option<Arc<Tensor>> {
        BTreeMap::get(self, digest).cloned()
    }
}

/// The weights of a module under the names they have in its text, in the order of the text; each
/// tensor once. They belong into a file beside the text.
pub fn weights(module: &Module) -> Vec<(String, Arc<Tensor>)> {
    let mut seen = BTreeSet::new();
    named(module, |tensor| seen.insert(*tensor.digest()))
}

/// The weights of a module by digest, to read its text again.
pub fn weights_by_digest(module: &Module) -> BTreeMap<[u8; 32], Arc<Tensor>> {
    weights(module).into_iter().map(|(_, tensor)| (*tensor.digest(), tensor)).collect()
}

/// The weights for which `is_new` holds, under names of their own.
pub(super) fn named(
    module: &Module,
    mut is_new: impl FnMut(&Arc<Tensor>) -> bool,
) -> Vec<(String, Arc<Tensor>)> {
    let (mut weights, mut names) = (Vec::new(), BTreeSet::new());
    each_node(&module.graph, |node| {
        for (attr, value) in &node.attrs {
            let Attr::Tensor(tensor) = value else { continue };
            if is_inline(tensor) || !is_new(tensor) {
                continue;
            }
            let result = node.results.first().map_or("", |r| &*r.name);
            let stem = if node.op == "Const" { result.to_string() } else { format!("{result}.{attr}") };
            weights.push((unique(stem, &mut names), tensor.clone()));
        }
    });
    weights
}

fn unique(stem: String, names: &mut BTreeSet<String>) -> String {
    let numbered = (1u64..).map(|i| format!("{stem}~{i}"));
    let name = std::iter::once(stem.clone()).chain(numbered).find(|name| !names.contains(name));
    let name = name.unwrap_or(stem);
    names.insert(name.clone());
    name
}

/// Every node in the order of the text, that is, a node before those of its regions.
fn each_node(graph: &Graph, mut visit: impl FnMut(&Node)) {
    let mut open: Vec<(&Graph, std::vec::IntoIter<NodeId>)> = vec![(graph, written_order(graph).into_iter())];
    while let Some((graph, order)) = open.last_mut() {
        let Some(id) = order.next() else {
            open.pop();
            continue;
        };
        let node = graph.node(id);
        visit(node);
        open.extend(node.regions.iter().rev().map(|r| (r, written_order(r).into_iter())));
    }
}

/// Producers first; nodes on a cycle, which no correct graph has, at the end.
pub(super) fn written_order(graph: &Graph) -> Vec<NodeId> {
    let mut order = graph.order();
    if order.len() < graph.len() {
        let done: BTreeSet<NodeId> = order.iter().copied().collect();
        order.extend(graph.nodes().filter(|id| !done.contains(id)));
    }
    order
}

/// Reads where a weight comes from: `blake3:HEX`, `zeros`, `seeded(7)` or `seeded(7, LEAST, MOST)`.
pub(super) fn read_weight(
    cursor: &mut Cursor<'_>,
    name: &str,
    ty: &TensorType,
    source: &dyn WeightSource,
) -> Result<Arc<Tensor>, ParseError> {
    let at = cursor.offset();
    let fail = |cursor: &Cursor<'_>, message: String| cursor.fail_at(at, message);
    match cursor.token().clone() {
        Token::Word("blake3") => {
            cursor.take()?;
            let digest = read_digest(cursor)?;
            let found = source.get(&digest, ty);
            let tensor =
                found.ok_or_else(|| fail(cursor, format!("the bytes of weight `@{name}` are not there")))?;
            let real = TensorType::fixed(tensor.dtype(), tensor.dims());
            if real != *ty {
                return Err(fail(cursor, format!("weight `@{name}` is {ty} here, but {real} in its file")));
            }
            Ok(tensor)
        }
        Token::Word("zeros") => {
            cursor.take()?;
            synthetic(ty, &|_| Some(0)).map(Arc::new).map_err(|m| fail(cursor, m))
        }
        Token::Word("seeded") => {
            cursor.take()?;
            let seeded = read_seeded(cursor)?;
            synthetic(ty, &|i| seeded.code(ty.dtype, i)).map(Arc::new).map_err(|m| fail(cursor, m))
        }
        Token::Word("unnamed") => {
            Err(fail(cursor, format!("the digest of weight `@{name}` was left out when this was printed")))
        }
        _ => Err(cursor.expected("`blake3:`, `seeded(` or `zeros`")),
    }
}

fn read_digest(cursor: &mut Cursor<'_>) -> Result<[u8; 32], ParseError> {
    cursor.expect(":")?;
    let digits = match cursor.token() {
        Token::Word(digits) | Token::Number(digits) => *digits,
        _ => "",
    };
    let mut digest = [0; 32];
    let byte = |i: usize| digits.get(2 * i..2 * i + 2).and_then(|d| u8::from_str_radix(d, 16).ok());
    for (i, into) in digest.iter_mut().enumerate() {
        *into = byte(i).filter(|_| digits.len() == 64).ok_or_else(|| cursor.expected("64 hex digits"))?;
    }
    cursor.take()?;
    Ok(digest)
}

/// Numbers that look random and are always the same.
///
/// With `x(i)` the `i`-th output of SplitMix64 from the seed and `u(i) = (x(i) >> 11) / 2^53`,
/// element `i` is `least + u(i) * (most - least)` for floats (computed in `f64`, then rounded),
/// that with `most + 1` rounded down for integers, and `u(i) < 0.5` for truth values.
#[derive(Debug, Clone, Copy)]
struct Seeded {
    seed: u64,
    range: Option<(f64, f64)>,
}

impl Seeded {
    fn uniform(self, index: u64) -> f64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.seed.wrapping_add(index.wrapping_add(1).wrapping_mul(step));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The bits of an element. Unless a range is given, floats are in -0.5..0.5, signed integers
    /// from -4 to 4 and unsigned ones from 0 to 7, as far as their type goes.
    fn code(self, dtype: DType, index: u64) -> Option<u64> {
        let u = self.uniform(index);
        let (least, most) = self.range.unwrap_or(match dtype.kind() {
            Kind::Float => (-0.5, 0.5),
            Kind::Signed => (-4.0, 4.0),
            _ => (0.0, 7.0),
        });
        let real = least + u * (most - least);
        Some(match dtype {
            DType::F64 => real.to_bits(),
            DType::F32 => (real as f32).to_bits().into(),
            DType::F16 => f16::from_f64(real).to_bits().into(),
            DType::Bf16 => bf16::from_f64(real).to_bits().into(),
            DType::Bool => u64::from(u < 0.5),
            _ => {
                let (lowest, size) = match dtype.kind() {
                    Kind::Signed => (-(1i128 << (dtype.bits() - 1)), 1i128 << dtype.bits()),
                    Kind::Unsigned => (0, 1i128 << dtype.bits()),
                    _ => return None,
                };
                let inside = |x: f64| x.clamp(lowest as f64, (lowest + size - 1) as f64);
                let (least, most) = (inside(least), inside(most));
                let whole = (least + u * (most - least + 1.0)).floor().min(most) as i128;
                whole.clamp(lowest, lowest + size - 1).rem_euclid(size) as u64
            }
        })
    }
}

fn read_seeded(cursor: &mut Cursor<'_>) -> Result<Seeded, ParseError> {
    cursor.expect("(")?;
    let seed = cursor.integer(0, u64::MAX.into())? as u64;
    let mut range = None;
    if cursor.eat(",")? {
        let least = f64::from_bits(cursor.float(DType::F64)?);
        cursor.expect(",")?;
        let most = f64::from_bits(cursor.float(DType::F64)?);
        if !(least <= most && (most - least).is_finite()) {
            return Err(cursor.fail(format!("expected a range, found {least:?} to {most:?}")));
        }
        range = Some((least, most));
    }
    cursor.expect(")")?;
    Ok(Seeded { seed, range })
}

/// A tensor whose elements are computed from their positions.
fn synthetic(ty: &TensorType, code: &dyn Fn(u64) -> Option<u64>) -> Result<Tensor, String> {
    let dims = ty.static_dims().ok_or_else(|| format!("a weight needs numbers as extents, found {ty}"))?;
    let count = crate::tensor::element_count(&dims);
    let bytes = count.and_then(|n| ty.dtype.bytes(n)).filter(|n| *n <= MAX_SYNTHETIC);
    let (Some(count), Some(_)) = (count, bytes) else {
        return Err(format!("a weight made up by the text may take {MAX_SYNTHETIC} bytes, found {ty}"));
    };
    let none = || format!("a weight of type {} cannot be made up", ty.dtype);
    if ty.dtype == DType::String {
        return Err(none());
    }
    // Whole bytes at a time, so that elements smaller than a byte are packed together.
    const CHUNK: u64 = 1 << 12;
    let mut data = Vec::new();
    for start in (0..count).step_by(CHUNK as usize) {
        let codes: Option<Vec<u64>> = (start..count.min(start + CHUNK)).map(code).collect();
        data.extend_from_slice(&pack(ty.dtype, &codes.ok_or_else(none)?));
    }
    Tensor::new(ty.dtype, dims, data.into()).map_err(|error| error.to_string())
}
