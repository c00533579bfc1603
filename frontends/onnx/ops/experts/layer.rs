//! One layer of all experts: how its weights lie, and what each expert does with them.
use crate::call::Call;
use std::sync::Arc;
use weft_frontend::Cause;
use weft_ir::{Attr, DType, Tensor, Value};

/// Every expert becomes nodes of its own; nobody has so many.
const MOST: i64 = 4096;

/// Which outputs of a layer are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    All,
    Even,
    Odd,
    FirstHalf,
    SecondHalf,
}

impl Part {
    /// The first of so many, the distance to the next, and how many there are.
    fn of(self, rows: usize) -> (usize, usize, usize) {
        match self {
            Part::All => (0, 1, rows),
            Part::Even => (0, 2, rows / 2),
            Part::Odd => (1, 2, rows / 2),
            Part::FirstHalf => (0, 1, rows / 2),
            Part::SecondHalf => (rows / 2, 1, rows / 2),
        }
    }
}

/// Where the operands of quantised weights are, and what the attributes say of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coding {
    pub(super) scales: usize,
    pub(super) zeros: usize,
    pub(super) bits: i64,
    /// How many inputs share a scale; without, all.
    pub(super) block: Option<i64>,
}

/// The weights of a layer, `[experts, rows, inputs]`.
enum Weights {
    Plain(Value),
    Coded(Codes),
}

/// A layer of all experts.
pub(super) struct Layer {
    pub(super) experts: i64,
    /// How many outputs it has.
    pub(super) rows: i64,
    weights: Weights,
    bias: Option<Value>,
}

impl Layer {
    /// The layer of operands that are weights and a bias, if it is there.
    pub(super) fn plain(call: &Call<'_, '_, '_>, weights: usize, bias: usize) -> Result<Option<Self>, Cause> {
        let Some(value) = call.operand(weights) else { return Ok(None) };
        let [experts, rows, _] = stacked(call, value, weights)?;
        let bias = call.operand(bias);
        Ok(Some(Self { experts, rows, weights: Weights::Plain(value), bias }))
    }

    /// The layer of operands that are codes, scales, a bias and, elsewhere, zero points; if it is there.
    pub(super) fn coded(call: &Call<'_, '_, '_>, at: usize, coding: Coding) -> Result<Option<Self>, Cause> {
        let Some(value) = call.operand(at) else { return Ok(None) };
        let [experts, rows, bytes] = stacked(call, value, at)?;
        let codes = Codes::read(call, (value, coding), [experts, rows, bytes])?;
        let bias = call.operand(at + 2);
        Ok(Some(Self { experts, rows, weights: Weights::Coded(codes), bias }))
    }

    /// What some outputs of an expert's layer are.
    pub(super) fn apply(
        &self,
        call: &mut Call<'_, '_, '_>,
        (expert, part): (i64, Part),
        name: &str,
        x: Value,
    ) -> Result<Value, Cause> {
        let name = format!("{expert}/{name}");
        let picked = Picked { expert, part, rows: self.rows };
        let bias = self.bias.map(|bias| picked.of(call, bias, &format!("{name}/bias"))).transpose()?;
        match &self.weights {
            Weights::Plain(weights) => {
                let weights = picked.of(call, *weights, &format!("{name}/weights"))?;
                let operands: Vec<Value> = [x, weights].into_iter().chain(bias).collect();
                call.step(&name, "Gemm", &[("transB", Attr::Int(1))], &operands)
            }
            Weights::Coded(codes) => {
                let weights = codes.of(call, picked, &name)?;
                let turn = [("perm", Attr::Ints(vec![1, 0]))];
                let weights = call.step(&format!("{name}/turned"), "Transpose", &turn, &[weights])?;
                let product = call.step(&format!("{name}/product"), "MatMul", &[], &[x, weights])?;
                match bias {
                    Some(bias) => call.step(&name, "Add", &[], &[product, bias]),
                    None => Ok(product),
                }
            }
        }
    }
}

/// The extents of weights of all experts.
fn stacked(call: &Call<'_, '_, '_>, value: Value, at: usize) -> Result<[i64; 3], Cause> {
    let dims = call.dims(value)?;
    let fixed: Option<Vec<i64>> = dims.iter().map(|dim| dim.as_fixed()).collect();
    match fixed.as_deref() {
        Some([experts, ..]) if *experts > MOST => {
            Err(Cause::Unsupported(format!("{experts} experts, at most {MOST}")))
        }
        Some([experts, rows, inputs]) => Ok([*experts, *rows, *inputs]),
        Some(_) => Err(Cause::Invalid(format!("operand {at} has rank {}, expected 3", dims.len()))),
        None => Err(Cause::Unsupported(format!("operand {at}, weights of extents that are not known"))),
    }
}

/// Some rows of one expert.
#[derive(Debug, Clone, Copy)]
struct Picked {
    expert: i64,
    part: Part,
    rows: i64,
}

impl Picked {
    /// These rows of a value that has them for every expert.
    fn of(self, call: &mut Call<'_, '_, '_>, value: Value, name: &str) -> Result<Value, Cause> {
        if let Some(tensor) = call.data(value) {
            let rows = self.of_tensor(&tensor)?;
            return call.tensor(name, rows);
        }
        let expert = call.tensor(&format!("{name}/expert"), Tensor::scalar(self.expert))?;
        let all = call.step(&format!("{name}/all"), "Gather", &[], &[value, expert])?;
        if self.part == Part::All {
            return Ok(all);
        }
        let (first, step, count) = self.part.of(self.rows as usize);
        let mut operands = vec![all];
        let end = first + step * count;
        for (what, number) in [("from", first), ("to", end), ("axis", 0), ("step", step)] {
            operands.push(call.ints(&format!("{name}/{what}"), &[number as i64])?);
        }
        call.step(name, "Slice", &[], &operands)
    }

    /// These rows of constant data; in one piece they are not copied.
    fn of_tensor(self, tensor: &Tensor) -> Result<Tensor, Cause> {
        let (rows, expert) = (self.rows as usize, self.expert as usize);
        let wrong = || Cause::Invalid(format!("{:?} where every expert has {rows} rows", tensor.dims()));
        let [_, found, rest @ ..] = tensor.dims() else { return Err(wrong()) };
        let (first, step, count) = self.part.of(rows);
        let row = tensor.dtype().bytes(rest.iter().product()).ok_or_else(wrong)? as usize;
        let begin = (expert * rows + first) * row;
        let end = begin + count * step * row;
        if *found as usize != rows || (expert + 1) * rows * row > tensor.data().len() {
            return Err(wrong());
        }
        let bytes = match step {
            1 => tensor.data().slice(begin..end),
            _ => {
                let blocks = (0..count).flat_map(|at| &tensor.data()[begin + at * step * row..][..row]);
                blocks.copied().collect::<Vec<u8>>().into()
            }
        };
        let dims = std::iter::once(count as u64).chain(rest.iter().copied()).collect();
        Tensor::new(tensor.dtype(), dims, bytes).map_err(|e| Cause::Invalid(e.to_string()))
    }
}

/// Quantised weights of a layer.
struct Codes {
    packed: Arc<Tensor>,
    scales: Value,
    zeros: Option<Arc<Tensor>>,
    bits: u32,
    inputs: u64,
    block: Option<i64>,
}

impl Codes {
    fn read(
        call: &Call<'_, '_, '_>,
        (value, coding): (Value, Coding),
        [experts, rows, _]: [i64; 3],
    ) -> Result<Self, Cause> {
        let Coding { bits, block, .. } = coding;
        if ![2, 4, 8].contains(&bits) {
            return Err(Cause::Unsupported(format!("weights of {bits} bits, only 2, 4 and 8")));
        }
        let constant = |value| {
            let bytes = call.data(value).filter(|data| data.dtype() == DType::U8);
            bytes.ok_or_else(|| Cause::unsupported("codes that are no constant bytes"))
        };
        let packed = constant(value)?;
        let inputs = packed.dims().last().map_or(0, |bytes| *bytes as i64) * 8 / bits;
        if block.is_some_and(|block| block < 1 || inputs % block != 0) {
            return Err(Cause::Invalid(format!("{inputs} inputs in blocks of {}", block.unwrap_or(0))));
        }
        let scales = call.need(coding.scales)?;
        let expected = [Some(experts), Some(rows), block.map(|block| inputs / block)];
        let expected: Vec<i64> = expected.into_iter().flatten().collect();
        let found: Vec<_> = call.dims(scales)?.iter().map(|dim| dim.as_fixed()).collect();
        if found.iter().zip(&expected).any(|(found, n)| *found != Some(*n)) || found.len() != expected.len() {
            return Err(Cause::Invalid(format!("scales are not {expected:?}")));
        }
        let zeros = call.operand(coding.zeros).map(constant).transpose()?;
        Ok(Self { packed, scales, zeros, bits: bits as u32, inputs: inputs as u64, block })
    }

    /// The weights of some rows of an expert, dequantised.
    fn of(&self, call: &mut Call<'_, '_, '_>, picked: Picked, name: &str) -> Result<Value, Cause> {
        let packed = picked.of_tensor(&self.packed)?;
        let dims = vec![packed.dims()[0], self.inputs];
        let codes = match &self.zeros {
            Some(_) => Tensor::new(self.dtype(), dims, packed.data().clone()),
            None => Tensor::new(self.signed(), dims, self.centred(packed.data()).into()),
        };
        let codes =
            call.tensor(&format!("{name}/codes"), codes.map_err(|e| Cause::Invalid(e.to_string()))?)?;
        let scales = picked.of(call, self.scales, &format!("{name}/scales"))?;
        let mut operands = vec![codes, scales];
        if let Some(zeros) = &self.zeros {
            let zeros = self.zero_points(zeros, picked)?;
            operands.push(call.tensor(&format!("{name}/zeros"), zeros)?);
        }
        let attrs = match self.block {
            Some(block) => vec![("axis", Attr::Int(1)), ("block_size", Attr::Int(block))],
            None => vec![("axis", Attr::Int(0))],
        };
        call.step(&format!("{name}/dequantised"), "DequantizeLinear", &attrs, &operands)
    }

    fn dtype(&self) -> DType {
        match self.bits {
            2 => DType::U2,
            4 => DType::U4,
            _ => DType::U8,
        }
    }

    fn signed(&self) -> DType {
        match self.bits {
            2 => DType::I2,
            4 => DType::I4,
            _ => DType::I8,
        }
    }

    /// Codes less half of their range, so that their middle is 0.
    fn centred(&self, bytes: &[u8]) -> Vec<u8> {
        let middle = match self.bits {
            2 => 0xaa,
            4 => 0x88,
            _ => 0x80,
        };
        bytes.iter().map(|byte| byte ^ middle).collect()
    }

    /// The zero points of some rows of an expert. They are packed row by row where there are blocks, expert by
    /// expert where there are none.
    fn zero_points(&self, packed: &Tensor, picked: Picked) -> Result<Tensor, Cause> {
        let (rows, expert) = (picked.rows as usize, picked.expert as usize);
        let (first, step, count) = picked.part.of(rows);
        let blocks = self.block.map(|block| self.inputs as usize / block as usize);
        let per_row = blocks.unwrap_or(rows);
        let bytes = (per_row * self.bits as usize).div_ceil(8);
        let code = |row: usize, at: usize| {
            let bit = at * self.bits as usize;
            let byte = *packed.data().get(row * bytes + bit / 8)?;
            Some(byte >> (bit % 8) & (0xff >> (8 - self.bits)))
        };
        let of_row = |row: usize| match blocks {
            Some(blocks) => (0..blocks).map(|at| code(expert * rows + row, at)).collect::<Vec<_>>(),
            None => vec![code(expert, row)],
        };
        let all: Option<Vec<u8>> = (0..count).flat_map(|at| of_row(first + at * step)).collect();
        let all =
            all.ok_or_else(|| Cause::Invalid(format!("{:?} zero points are too few", packed.dims())))?;
        let mut dims = vec![count as u64];
        dims.extend(blocks.map(|blocks| blocks as u64));
        Tensor::new(self.dtype(), dims, self.packed(&all).into()).map_err(|e| Cause::Invalid(e.to_string()))
    }

    /// Codes side by side in bytes.
    fn packed(&self, codes: &[u8]) -> Vec<u8> {
        let in_byte = 8 / self.bits as usize;
        let pack = |codes: &[u8]| {
            codes.iter().enumerate().fold(0, |byte, (at, code)| byte | code << (at * self.bits as usize))
        };
        codes.chunks(in_byte).map(pack).collect()
    }
}
