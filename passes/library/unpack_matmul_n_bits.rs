//! Takes ONNX Runtime's product with packed weights apart.
//!
//! Before: `%y = com.microsoft.MatMulNBits(%x, %packed, %scales, %zeros, _, %bias) {K, N, bits, block_size}`. After:
//! `%w = DequantizeLinear(%codes, %scales, %zeros) {axis = 0, block_size}` with codes of as many bits, `[K, N]`,
//! `%p = MatMul(%x, %w)`, `%y = Add(%p, %bias)`. Without zero points codes become signed, which moves the middle
//! to 0.
//!
//! The bytes are the same numbers in another order. `accuracy_level`, which allows coarser activations, is not
//! made use of. Weights that are not constant, zero points that are floats, and reordered groups are
//! left alone.
use weft_ir::{Attr, DType, NodeId, Stage, Tensor, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Perm, Rewriter, node, permuted};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "unpack-matmul-n-bits",
    summary: "takes ONNX Runtime's product with packed weights apart",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(unpack))),
};

/// What the attributes say.
#[derive(Clone, Copy)]
struct Packing {
    depth: u64,
    cols: u64,
    bits: u64,
    block: u64,
}

impl Packing {
    fn blocks(self) -> u64 {
        self.depth.div_ceil(self.block)
    }
}

fn unpack(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "com.microsoft.MatMulNBits") {
        return Ok(());
    }
    let attrs = g.attrs(id).ok_or("the operator is not known")?;
    let extent =
        |name| u64::try_from(attrs.int(name)).ok().filter(|n| *n > 0).ok_or("an extent is not positive");
    let packing = Packing {
        depth: extent("K")?,
        cols: extent("N")?,
        bits: extent("bits")?,
        block: extent("block_size")?,
    };
    if g.operand(id, 4).is_some() {
        return Err("its groups are reordered".into());
    }
    let (x, bias) = (g.operand(id, 0), g.operand(id, 5));
    let weights = weights(g, id, packing)?;
    let mut value = g.add(node("MatMul", []), &[x, Some(weights)])?;
    if bias.is_some() {
        value = g.add(node("Add", []), &[Some(value), bias])?;
    }
    g.replace(g.result(id), value);
    Ok(())
}

fn weights(g: &mut Rewriter<'_>, id: NodeId, packing: Packing) -> Result<Value, Declined> {
    let constant =
        |i| g.operand(id, i).map(|v| g.data(v).cloned().ok_or("the weights are not constant")).transpose();
    let (Some(packed), Some(scales), zeros) = (constant(1)?, constant(2)?, constant(3)?) else {
        return Err("the weights are not constant".into());
    };
    if zeros.as_ref().is_some_and(|zeros| zeros.dtype().is_float()) {
        return Err("the zero points are floats".into());
    }
    let length = packing.blocks() * packing.block;
    let codes = turned(&packed, packing, (length, packing.depth), zeros.is_none())?;
    let scales = scales.reshaped(vec![packing.cols, packing.blocks()]).ok();
    let scales =
        scales.and_then(|scales| permuted(&scales, &Perm::reversed(2))).ok_or("the scales are too few")?;
    let mut operands = vec![Some(g.constant(codes)?), Some(g.constant(scales)?)];
    if let Some(zeros) = zeros {
        let length = packing.blocks().next_multiple_of(8 / packing.bits);
        let zeros = turned(&zeros, packing, (length, packing.blocks()), false)?;
        operands.push(Some(g.constant(zeros)?));
    }
    let block = i64::try_from(packing.block).map_err(|_| "the blocks are too long")?;
    let attrs = [("axis", Attr::Int(0)), ("block_size", Attr::Int(block))];
    g.add(node("DequantizeLinear", attrs), &operands)
}

/// Rows of `length` packed numbers each as columns, of which the first `kept` rows are kept; signed
/// ones are less by half of the range.
fn turned(
    packed: &Tensor,
    packing: Packing,
    (length, kept): (u64, u64),
    signed: bool,
) -> Result<Tensor, Declined> {
    let dtype = match (packing.bits, signed) {
        (2, false) => DType::U2,
        (2, true) => DType::I2,
        (4, false) => DType::U4,
        (4, true) => DType::I4,
        (8, false) => DType::U8,
        (8, true) => DType::I8,
        _ => return Err("there is no type of so few bits".into()),
    };
    let mut bytes = packed.data().to_vec();
    if signed {
        let middle = match packing.bits {
            2 => 0xaa,
            4 => 0x88,
            _ => 0x80,
        };
        bytes.iter_mut().for_each(|byte| *byte ^= middle);
    }
    let rows = Tensor::new(dtype, vec![packing.cols, length], bytes.into()).map_err(|e| e.to_string())?;
    let columns = permuted(&rows, &Perm::reversed(2)).ok_or("the codes are no matrix")?;
    let bytes = dtype.bytes(kept * packing.cols).and_then(|n| usize::try_from(n).ok());
    let kept_bytes =
        columns.data().get(..bytes.ok_or("the weights are too large")?).ok_or("the codes are too few")?;
    Tensor::new(dtype, vec![kept, packing.cols], kept_bytes.to_vec().into()).map_err(|e| e.to_string().into())
}
