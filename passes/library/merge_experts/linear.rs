//! What an operator does to every token: weights of the experts taken out of it.
use super::codes::numbers;
use super::weights::Weights;
use std::sync::Arc;
use weft_ir::{NodeId, Tensor, Value};
use weft_passes::{Declined, Rewriter};

/// A token's features times a matrix, plus a bias.
pub(super) struct Linear {
    /// The operand that is the tokens.
    pub(super) tokens: usize,
    /// `[features, results]` of each expert.
    pub(super) matrix: Weights,
    /// `[results]` of each expert.
    pub(super) bias: Option<Weights>,
}

/// The constants at an operand of the nodes that do the same for each expert, or of the one that
/// does it for all.
pub(super) fn constants(g: &Rewriter<'_>, nodes: &[NodeId], operand: usize) -> Option<Vec<Arc<Tensor>>> {
    nodes.iter().map(|id| numbers(g, g.operand(*id, operand)?)).collect()
}

fn listed(tensors: &[Arc<Tensor>]) -> Result<Weights, Declined> {
    let tensors: Vec<&Tensor> = tensors.iter().map(|tensor| &**tensor).collect();
    Weights::listed(&tensors).ok_or_else(|| "the weights of the experts differ in shape".into())
}

/// The product that these nodes are, if they are one with a constant.
pub(super) fn linear(g: &Rewriter<'_>, nodes: &[NodeId]) -> Option<Result<Linear, Declined>> {
    let id = *nodes.first()?;
    match g.node(id).op.as_str() {
        "MatMul" => Some(matmul(g, nodes)),
        "Gemm" => Some(gemm(g, nodes)),
        "Einsum" => Some(einsum(g, nodes)),
        _ => None,
    }
}

fn matmul(g: &Rewriter<'_>, nodes: &[NodeId]) -> Result<Linear, Declined> {
    let tensors = constants(g, nodes, 1).ok_or("the weights of the experts are not constant")?;
    if let [stack] = &tensors[..]
        && stack.dims().len() > 2
    {
        let axis = stack.dims().len() - 3;
        if stack.dims()[..axis].iter().any(|extent| *extent != 1) {
            return Err("the experts are not stacked along one axis".into());
        }
        let flat =
            stack.reshaped(stack.dims()[axis..].to_vec()).map_err(|e| Declined::from(e.to_string()))?;
        let mut matrix = Weights::stacked(&flat, Some(0)).ok_or("the weights are no floats")?;
        matrix.place = Some(3);
        return Ok(Linear { tokens: 0, matrix, bias: None });
    }
    let matrix = listed(&tensors)?;
    if matrix.dims.len() != 2 {
        return Err("the weights are no matrices".into());
    }
    Ok(Linear { tokens: 0, matrix, bias: None })
}

fn gemm(g: &Rewriter<'_>, nodes: &[NodeId]) -> Result<Linear, Declined> {
    let attrs = g.attrs(nodes[0]).ok_or("the operator is not known")?;
    if attrs.flag("transA") {
        return Err("the tokens are turned".into());
    }
    let tensors = constants(g, nodes, 1).ok_or("the weights of the experts are not constant")?;
    let matrix = listed(&tensors)?.times(attrs.float("alpha").into());
    let matrix = if attrs.flag("transB") { matrix.turned() } else { matrix };
    let bias = match g.operand(nodes[0], 2) {
        None => None,
        Some(_) => {
            let tensors = constants(g, nodes, 2).ok_or("the biases of the experts are not constant")?;
            let mut bias = listed(&tensors)?.times(attrs.float("beta").into());
            if bias.dims.iter().product::<u64>() != matrix.dims[1] {
                return Err("the bias is not one number per feature".into());
            }
            bias.dims = vec![matrix.dims[1]];
            Some(bias)
        }
    };
    Ok(Linear { tokens: 0, matrix, bias })
}

fn einsum(g: &Rewriter<'_>, nodes: &[NodeId]) -> Result<Linear, Declined> {
    let attrs = g.attrs(nodes[0]).ok_or("the operator is not known")?;
    let equation: String = attrs.str("equation").chars().filter(|c| !c.is_whitespace()).collect();
    let other = || Declined::from(format!("`{equation}` is no product of tokens and weights"));
    let (operands, result) = equation.split_once("->").ok_or_else(other)?;
    let (a, b) = operands.split_once(',').ok_or_else(other)?;
    let tokens = usize::from(constants(g, nodes, 1).is_none());
    let (x, w) = if tokens == 0 { (a, b) } else { (b, a) };
    let tensors = constants(g, nodes, 1 - tokens).ok_or("the weights of the experts are not constant")?;
    let (feature, made) = (x.chars().last().ok_or_else(other)?, result.chars().last().ok_or_else(other)?);
    let kept = x.strip_suffix(feature) == result.strip_suffix(made);
    if !kept || x.contains(made) || result.contains(feature) || equation.contains('.') {
        return Err(other());
    }
    let rest: Vec<char> = w.chars().filter(|c| *c != feature && *c != made).collect();
    let axis = match rest[..] {
        [] => None,
        [expert] if x.contains(expert) && w.len() == 3 => w.find(expert),
        _ => return Err(other()),
    };
    let turned = w.find(made) < w.find(feature);
    let mut matrix = match (&tensors[..], axis) {
        ([stack], axis) => Weights::stacked(stack, axis).ok_or("the weights are no floats")?,
        (_, None) => listed(&tensors)?,
        _ => return Err(other()),
    };
    matrix.place = rest.first().and_then(|expert| Some(x.chars().count() - x.find(*expert)?));
    let matrix = if turned { matrix.turned() } else { matrix };
    Ok(Linear { tokens, matrix, bias: None })
}

/// The constant that an elementwise operator combines with tokens: `[features]`, or one number.
pub(super) fn alongside(g: &Rewriter<'_>, tensors: &[Arc<Tensor>], like: Value) -> Result<Weights, Declined> {
    if tensors.len() > 1 {
        let mut all = listed(tensors)?;
        all.dims = narrowed(&all.dims)?;
        // The same number in every branch is the operator's, not the expert's.
        let first = all.each.first().cloned().unwrap_or_default();
        if all.each.iter().all(|one| *one == first) {
            all.each.truncate(1);
        }
        return Ok(all);
    }
    let [tensor] = tensors else { return Err("there is no constant".into()) };
    let rank = g.rank(like).ok_or("the rank is not known")?;
    let dims = tensor.dims();
    let before = dims.len().saturating_sub(1);
    let wide: Vec<usize> = (0..before).filter(|axis| dims[*axis] != 1).collect();
    let axis = match wide[..] {
        [] => None,
        [axis] if rank >= dims.len() => Some(axis),
        _ => return Err("a constant differs from token to token".into()),
    };
    let mut all = Weights::stacked(tensor, axis).ok_or("the constants are no floats")?;
    all.place = axis.map(|axis| dims.len() - axis);
    all.dims = narrowed(&all.dims)?;
    Ok(all)
}

/// The last extent, if the others are 1.
fn narrowed(dims: &[u64]) -> Result<Vec<u64>, Declined> {
    let Some((last, before)) = dims.split_last() else { return Ok(Vec::new()) };
    match before.iter().all(|extent| *extent == 1) {
        true => Ok(vec![*last]),
        false => Err("a constant differs from token to token".into()),
    }
}
