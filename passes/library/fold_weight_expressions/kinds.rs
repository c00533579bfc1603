//! What an expression over weights is called, and the numbers it was made with.
//!
//! Weight companders are those of "Weight Compander: A Simple Weight Reparameterization for
//! Regularization" (arXiv 2306.16993): `w = a * arctan(v / b)`, with arsinh and erf as the variants
//! studied there. The others: weight normalisation (`g * v / |v|`), powerpropagation (`v * |v|^(alpha - 1)`),
//! weight standardisation, DoRA (`m * V / |V|` with `V = W0 + s * B * A`) and LoRA, convolutions with
//! filters weighed by place (`W * Phi`), and mixtures of the weights of experts. Names are only told:
//! whatever it is called, an expression over constants is folded.
use super::evaluate::Expression;
use super::factors::{Factor, Product, size, unmoved};
use std::collections::BTreeMap;
use std::f64::consts::FRAC_PI_2;
use weft_ir::{NodeId, Value};
use weft_passes::Rewriter;

type Ranges = BTreeMap<Value, (f64, f64)>;

/// How many operators deep a norm or a mean is looked for.
const DEEP: usize = 6;

/// One line on what the expression was.
pub(super) fn describe(g: &Rewriter<'_>, root: Value, expression: &Expression, ranges: &Ranges) -> String {
    let product = Product::of(g, root, ranges);
    compander(g, &product, ranges)
        .or_else(|| normalised(g, &product))
        .or_else(|| powered(g, &product, ranges))
        .or_else(|| sum(g, &product))
        .or_else(|| mixture(g, root, &product))
        .or_else(|| weighed(g, root, &product))
        .unwrap_or_else(|| format!("weights computed by {} operators", expression.nodes.len()))
}

/// `a * f(v / b)`.
fn compander(g: &Rewriter<'_>, product: &Product, ranges: &Ranges) -> Option<String> {
    let [factor] = product.full[..] else { return None };
    let (name, inside) = bend(g, factor.value, ranges)?;
    let inner = Product::of(g, inside, ranges);
    if inner.full.len() != 1 || factor.divides {
        return None;
    }
    let a = product.scale(ranges)?;
    let (least, most) = inner.scale(ranges)?;
    let bound = a.0.abs().max(a.1.abs());
    let bound = match name {
        "arctan" => format!(", |w| < {}", short(bound * FRAC_PI_2)),
        "erf" | "tanh" => format!(", |w| < {}", short(bound)),
        _ => ", not bounded".to_string(),
    };
    // A graph whose division was folded before it came here shows no b.
    let b =
        if inner.scales.is_empty() { "folded into v".to_string() } else { span((1.0 / most, 1.0 / least)) };
    Some(format!("weight compander, {name}: a = {}, b = {b}{bound}", span(a)))
}

/// The name and the operand of a function that bends weights.
fn bend(g: &Rewriter<'_>, value: Value, ranges: &Ranges) -> Option<(&'static str, Value)> {
    let operand = g.operand(value.node, 0)?;
    match g.node(value.node).op.as_str() {
        "Atan" => Some(("arctan", operand)),
        "Asinh" => Some(("arsinh", operand)),
        "Erf" => Some(("erf", operand)),
        "Tanh" => Some(("tanh", operand)),
        // log(u + sqrt(u * u + 1))
        "Log" => {
            let (u, root) = g.pair(g.made_by(operand, "Add")?)?;
            let inverse = |u: Value, root: Value| {
                let (a, b) = g.pair(g.made_by(g.operand(g.made_by(root, "Sqrt")?, 0)?, "Add")?)?;
                let sums = |square, one| ranges.get(&one) == Some(&(1.0, 1.0)) && is_square(g, square, u);
                (sums(a, b) || sums(b, a)).then_some(("arsinh", u))
            };
            inverse(u, root).or_else(|| inverse(root, u))
        }
        _ => None,
    }
}

fn is_square(g: &Rewriter<'_>, square: Value, of: Value) -> bool {
    let square = unmoved(g, square);
    let same = |value: Value| unmoved(g, value) == unmoved(g, of);
    if let Some(id) = g.made_by(square, "Mul") {
        return g.pair(id).is_some_and(|(a, b)| same(a) && same(b));
    }
    g.with_scalar(square, "Pow").is_some_and(|(base, power)| power == 2.0 && same(base))
}

/// `v / |v|`, `(v - mean) / deviation`, with or without a gain.
fn normalised(g: &Rewriter<'_>, product: &Product) -> Option<String> {
    let [factor] = product.full[..] else { return None };
    let v = factor.value;
    match g.node(v.node).op.as_str() {
        "LpNormalization" if g.data(v).is_none() => return Some("weight normalisation".to_string()),
        "BatchNormalization" | "InstanceNormalization" | "MeanVarianceNormalization"
            if g.data(v).is_none() =>
        {
            return Some("weight standardisation".to_string());
        }
        _ => {}
    }
    let centred = g.made_by(v, "Sub").and_then(|id| g.pair(id)).is_some_and(|(from, mean)| {
        let reduced = g.made_by(unmoved(g, mean), "ReduceMean").and_then(|id| g.operand(id, 0));
        reduced.is_some_and(|reduced| derives(g, reduced, unmoved(g, from)))
    });
    let divisor = |factor: &&Factor| factor.divides && is_norm(g, factor.value, v);
    if centred && product.scales.iter().any(|factor| factor.divides) {
        return Some("weight standardisation".to_string());
    }
    product.scales.iter().find(divisor)?;
    let adapted = g.data(v).is_none() && adapter(g, v).is_some();
    Some(if adapted { "DoRA merged" } else { "weight normalisation" }.to_string())
}

/// Whether a value is a norm of another: a root of a sum of squares, behind a floor or a small summand.
fn is_norm(g: &Rewriter<'_>, value: Value, of: Value) -> bool {
    let mut value = unmoved(g, value);
    for _ in 0..DEEP {
        let Some(operand) = g.operand(value.node, 0) else { return false };
        match g.node(value.node).op.as_str() {
            "ReduceL2" | "ReduceSumSquare" => return derives(g, operand, of),
            "ReduceSum" => {
                let square = unmoved(g, operand);
                return is_square(g, square, of)
                    || g.made_by(square, "Pow").is_some_and(|id| derives(g, g.result(id), of));
            }
            "Sqrt" | "Pow" | "Clip" | "Max" | "Add" => value = unmoved(g, operand),
            _ => return false,
        }
    }
    false
}

/// Whether `value` is `from`, moved, or one operator of one operand away from it.
fn derives(g: &Rewriter<'_>, value: Value, from: Value) -> bool {
    let mut value = unmoved(g, value);
    for _ in 0..DEEP {
        if value == from {
            return true;
        }
        match g.node(value.node).op.as_str() {
            "ReduceMean" | "Abs" | "Pow" if g.data(value).is_none() => match g.operand(value.node, 0) {
                Some(operand) => value = unmoved(g, operand),
                None => return false,
            },
            _ => return false,
        }
    }
    false
}

/// `v * |v|^(alpha - 1)` or `sign(v) * |v|^alpha`.
fn powered(g: &Rewriter<'_>, product: &Product, ranges: &Ranges) -> Option<String> {
    let [a, b] = product.full[..] else { return None };
    let power = |power: Factor, other: Factor| {
        let (base, exponent) = g.pair(g.made_by(power.value, "Pow")?)?;
        let v = unmoved(g, g.operand(g.made_by(unmoved(g, base), "Abs")?, 0)?);
        let sign = g.made_by(other.value, "Sign").and_then(|id| g.operand(id, 0));
        let more = match sign {
            Some(operand) if unmoved(g, operand) == v => 0.0,
            None if other.value == v => 1.0,
            _ => return None,
        };
        let (least, most) = *ranges.get(&exponent)?;
        Some(format!("powerpropagation: alpha = {}", span((least + more, most + more))))
    };
    power(a, b).or_else(|| power(b, a))
}

/// `W0 + s * B * A`, or weights added up.
fn sum(g: &Rewriter<'_>, product: &Product) -> Option<String> {
    let [factor] = product.full[..] else { return None };
    if g.data(factor.value).is_some()
        || !product.scales.is_empty() && g.made_by(factor.value, "Add").is_none()
    {
        return None;
    }
    if adapter(g, factor.value).is_some() {
        return Some("LoRA merged".to_string());
    }
    let terms = terms(g, factor.value);
    (terms.len() > 1).then(|| format!("a sum of {} weights", terms.len()))
}

fn terms(g: &Rewriter<'_>, value: Value) -> Vec<Value> {
    let (all, mut found, mut open) = (size(g, value), Vec::new(), vec![value]);
    while let Some(value) = open.pop() {
        let value = unmoved(g, value);
        let op = g.node(value.node).op.as_str();
        if g.data(value).is_none() && matches!(op, "Add" | "Sub" | "Sum") && found.len() < 1 << 10 {
            open.extend(g.operands(value.node).into_iter().flatten());
        } else if size(g, value) >= all {
            found.push(value);
        }
    }
    found
}

/// The product of two thin matrices among the terms of a sum.
fn adapter(g: &Rewriter<'_>, value: Value) -> Option<NodeId> {
    let terms = terms(g, value);
    let thin =
        |id: &NodeId| g.pair(*id).is_some_and(|(a, b)| size(g, a).max(size(g, b)) < size(g, value).max(1));
    let products = terms.iter().filter(|_| terms.len() > 1).filter_map(|term| {
        let product = Product::of(g, *term, &Ranges::new());
        let full = product.full.first()?.value;
        g.made_by(full, "MatMul").or_else(|| g.made_by(full, "Gemm")).filter(|_| g.data(full).is_none())
    });
    products.into_iter().find(thin)
}

/// One of several weights in a stack, by a sum along it.
fn mixture(g: &Rewriter<'_>, root: Value, product: &Product) -> Option<String> {
    let [factor] = product.full[..] else { return None };
    let op = g.node(factor.value.node).op.as_str();
    if g.data(factor.value).is_some()
        || !matches!(op, "ReduceMean" | "ReduceSum" | "MatMul" | "Einsum" | "Mean")
    {
        return None;
    }
    let operands: Vec<Value> = g.operands(factor.value.node).into_iter().flatten().collect();
    let largest = operands.iter().map(|value| size(g, *value)).max()?;
    let of = if op == "Mean" { operands.len() as u64 } else { largest / size(g, root).max(1) };
    let what = if matches!(op, "ReduceMean" | "Mean") { "the average" } else { "a mixture" };
    (of > 1).then(|| format!("{what} of {of} weights"))
}

/// `W * Phi` with one factor per place of a filter, or one per channel.
fn weighed(g: &Rewriter<'_>, root: Value, product: &Product) -> Option<String> {
    let [_] = product.full[..] else { return None };
    let rank = g.rank(root)?;
    let places = |factor: &Factor| {
        let dims = g.ty(factor.stands).static_dims().unwrap_or_default();
        let kernel = rank.saturating_sub(2);
        let (before, kernel) = dims.split_at(dims.len().saturating_sub(kernel));
        before.iter().all(|d| *d == 1) && !kernel.is_empty() && kernel.iter().any(|d| *d > 1)
    };
    if product.scales.iter().any(places) && rank > 2 {
        return Some("filters weighed by place".to_string());
    }
    (!product.scales.is_empty()).then(|| "scaled weights".to_string())
}

/// A number, or between which numbers it lies.
fn span((least, most): (f64, f64)) -> String {
    let (least, most) = (short(least), short(most));
    if least == most { least } else { format!("{least} to {most}") }
}

/// Six digits, as few of them as say it.
fn short(number: f64) -> String {
    let digits = (6.0 - number.abs().max(1e-9).log10().ceil()).clamp(0.0, 15.0) as usize;
    let text = format!("{number:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_string();
    }
    text
}
