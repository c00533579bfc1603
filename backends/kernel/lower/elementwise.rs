//! Operators that work element by element, as terms.
use super::{Call, Handle, Lowering, Result};
use crate::math::Function as F;
use crate::nest::Scalar;
use crate::term::{TermId, Terms};
use weft_ir::{Attrs, DType, Graph, NodeId};

/// Builds the term of one result element from the terms of the operands' elements.
type Build = fn(&mut Calc<'_>, &[TermId]) -> Result<TermId>;

/// Whether a node works element by element, all operands at the position of the result.
pub(crate) fn is_elementwise(graph: &Graph, node: NodeId) -> bool {
    let op = graph.node(node).op.as_str();
    build_of(op).is_some() || matches!(op, "QuantizeLinear" | "DequantizeLinear")
}

fn build_of(op: &str) -> Option<Build> {
    Some(match op {
        "Add" | "Sum" => |c, x| c.fold(F::Add, x),
        "Sub" => |c, x| c.fold(F::Sub, x),
        "Mul" => |c, x| c.fold(F::Mul, x),
        "Div" => |c, x| c.fold(F::Div, x),
        "Mod" => |c, x| c.fold(if c.attrs.flag("fmod") { F::Fmod } else { F::Mod }, x),
        "Pow" => pow,
        "Min" => |c, x| c.fold(F::Min, x),
        "Max" => |c, x| c.fold(F::Max, x),
        "Mean" => mean,
        "And" | "BitwiseAnd" => |c, x| c.fold(F::And, x),
        "Or" | "BitwiseOr" => |c, x| c.fold(F::Or, x),
        "Xor" | "BitwiseXor" => |c, x| c.fold(F::Xor, x),
        "Not" | "BitwiseNot" => |c, x| c.unary(F::Not, x),
        "BitShift" => |c, x| c.fold(if c.attrs.str("direction") == "LEFT" { F::Shl } else { F::Shr }, x),
        "Equal" => |c, x| Ok(c.truth(F::Eq, x[0], x[1])),
        "Less" => |c, x| Ok(c.truth(F::Lt, x[0], x[1])),
        "LessOrEqual" => |c, x| Ok(c.truth(F::Le, x[0], x[1])),
        "Greater" => |c, x| Ok(c.truth(F::Lt, x[1], x[0])),
        "GreaterOrEqual" => |c, x| Ok(c.truth(F::Le, x[1], x[0])),
        "Where" => |c, x| Ok(c.select(x[0], x[1], x[2])),
        "Cast" | "CastLike" => |c, x| Ok(c.cast(x[0], c.dtype)),
        "Identity" => |_, x| Ok(x[0]),
        "IsNaN" => |c, x| Ok(c.terms.call(DType::Bool, F::IsNan, &[x[0]])),
        "IsInf" => is_inf,
        "Clip" => clip,
        _ => return unary_of(op).or_else(|| activation_of(op)),
    })
}

fn unary_of(op: &str) -> Option<Build> {
    Some(match op {
        "Neg" => |c, x| c.unary(F::Neg, x),
        "Abs" => |c, x| c.unary(F::Abs, x),
        "Sign" => |c, x| c.unary(F::Sign, x),
        "Sqrt" => |c, x| c.unary(F::Sqrt, x),
        "Exp" => |c, x| c.unary(F::Exp, x),
        "Log" => |c, x| c.unary(F::Log, x),
        "Sin" => |c, x| c.unary(F::Sin, x),
        "Cos" => |c, x| c.unary(F::Cos, x),
        "Tan" => |c, x| c.unary(F::Tan, x),
        "Asin" => |c, x| c.unary(F::Asin, x),
        "Acos" => |c, x| c.unary(F::Acos, x),
        "Atan" => |c, x| c.unary(F::Atan, x),
        "Sinh" => |c, x| c.unary(F::Sinh, x),
        "Cosh" => |c, x| c.unary(F::Cosh, x),
        "Tanh" => |c, x| c.unary(F::Tanh, x),
        "Asinh" => |c, x| c.unary(F::Asinh, x),
        "Acosh" => |c, x| c.unary(F::Acosh, x),
        "Atanh" => |c, x| c.unary(F::Atanh, x),
        "Erf" => |c, x| c.unary(F::Erf, x),
        "Ceil" => |c, x| c.unary(F::Ceil, x),
        "Floor" => |c, x| c.unary(F::Floor, x),
        "Round" => |c, x| c.unary(F::Round, x),
        "Sigmoid" => |c, x| c.unary(F::Sigmoid, x),
        "Reciprocal" => |c, x| {
            let one = c.number(1.0);
            Ok(c.call(F::Div, &[one, x[0]]))
        },
        _ => return None,
    })
}

fn activation_of(op: &str) -> Option<Build> {
    Some(match op {
        "Relu" => |c, x| {
            let zero = c.number(0.0);
            Ok(c.call(F::Max, &[x[0], zero]))
        },
        "LeakyRelu" => |c, x| {
            let scaled = c.scaled(x[0], c.attrs.float("alpha"));
            Ok(c.by_sign(x[0], x[0], scaled))
        },
        "PRelu" => |c, x| {
            let scaled = c.call(F::Mul, &[x[0], x[1]]);
            Ok(c.by_sign(x[0], x[0], scaled))
        },
        "ThresholdedRelu" => |c, x| {
            let (alpha, zero) = (c.number(c.attrs.float("alpha")), c.number(0.0));
            let above = c.truth(F::Lt, alpha, x[0]);
            Ok(c.select(above, x[0], zero))
        },
        "Elu" => elu,
        "Celu" => celu,
        "Selu" => selu,
        "HardSigmoid" => hard_sigmoid,
        "HardSwish" => hard_swish,
        "Softplus" => softplus,
        "Softsign" => |c, x| {
            let (one, size) = (c.number(1.0), c.call(F::Abs, x));
            let below = c.call(F::Add, &[one, size]);
            Ok(c.call(F::Div, &[x[0], below]))
        },
        "Tanh" => |c, x| c.unary(F::Tanh, x),
        "Gelu" | "com.microsoft.Gelu" => gelu,
        "Mish" => |c, x| {
            let plus = softplus(c, x)?;
            let tanh = c.call(F::Tanh, &[plus]);
            Ok(c.call(F::Mul, &[x[0], tanh]))
        },
        "Shrink" => shrink,
        _ => return gated_of(op),
    })
}

fn gated_of(op: &str) -> Option<Build> {
    Some(match op {
        "Swish" | "com.microsoft.QuickGelu" => swish,
        "SwiGLU" => |c, x| {
            let gated = swish(c, &x[..1])?;
            Ok(c.call(F::Mul, &[gated, x[1]]))
        },
        "com.microsoft.FastGelu" => |c, x| {
            // An absent bias arrives as the operand itself.
            let biased = if x.len() > 1 && x[1] != x[0] { c.call(F::Add, &[x[0], x[1]]) } else { x[0] };
            Ok(gelu_of(c, biased, true))
        },
        _ => return None,
    })
}

/// Arithmetic on terms of the operands' type.
pub(crate) struct Calc<'a> {
    /// Where terms are stored.
    pub(crate) terms: &'a mut Terms,
    /// The attributes of the node.
    pub(crate) attrs: Attrs<'a>,
    /// Element type of the result.
    pub(crate) dtype: DType,
    /// Element type of the first operand.
    pub(crate) arg: DType,
}

impl Calc<'_> {
    /// A function whose result has the type of its last argument.
    pub(crate) fn call(&mut self, f: F, args: &[TermId]) -> TermId {
        let dtype = args.last().map_or(self.arg, |a| self.terms.dtype(*a));
        self.terms.call(dtype, f, args)
    }

    fn fold(&mut self, f: F, args: &[TermId]) -> Result<TermId> {
        let (first, rest) = args.split_first().ok_or("there are no operands")?;
        Ok(rest.iter().fold(*first, |total, x| self.call(f, &[total, *x])))
    }

    fn unary(&mut self, f: F, args: &[TermId]) -> Result<TermId> {
        Ok(self.call(f, &args[..1]))
    }

    fn truth(&mut self, f: F, a: TermId, b: TermId) -> TermId {
        self.terms.call(DType::Bool, f, &[a, b])
    }

    fn select(&mut self, condition: TermId, a: TermId, b: TermId) -> TermId {
        self.call(F::Select, &[condition, a, b])
    }

    pub(crate) fn cast(&mut self, x: TermId, dtype: DType) -> TermId {
        if self.terms.dtype(x) == dtype { x } else { self.terms.call(dtype, F::Cast, &[x]) }
    }

    /// A number of the operands' type.
    pub(crate) fn number(&mut self, value: f32) -> TermId {
        self.exact(value.into())
    }

    /// A number of the operands' type.
    fn exact(&mut self, value: f64) -> TermId {
        let value = if self.arg.is_float() { Scalar::Float(value) } else { Scalar::Int(value as i64) };
        self.terms.constant(self.arg, value)
    }

    fn scaled(&mut self, x: TermId, by: f32) -> TermId {
        let by = self.number(by);
        self.call(F::Mul, &[x, by])
    }

    /// `a` where `x` is not negative, else `b`; `b` where it is NaN.
    fn by_sign(&mut self, x: TermId, a: TermId, b: TermId) -> TermId {
        let zero = self.number(0.0);
        let positive = self.truth(F::Le, zero, x);
        self.select(positive, a, b)
    }

    /// `exp(x) - 1`, where `x` is negative.
    fn exp_less_one(&mut self, x: TermId) -> TermId {
        let (exp, one) = (self.call(F::Exp, &[x]), self.number(1.0));
        self.call(F::Sub, &[exp, one])
    }
}

fn pow(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    let exponent = if c.arg.is_float() { c.cast(x[1], c.arg) } else { x[1] };
    if let Some(term) = small_power(c, x[0], exponent) {
        return Ok(term);
    }
    if c.terms.dtype(exponent) != c.arg {
        let (base, power) = (c.cast(x[0], DType::F64), c.cast(exponent, DType::F64));
        let result = c.terms.call(DType::F64, F::Pow, &[base, power]);
        return Ok(c.cast(result, c.dtype));
    }
    Ok(c.terms.call(c.arg, F::Pow, &[x[0], exponent]))
}

/// Powers that are products or roots.
fn small_power(c: &mut Calc<'_>, x: TermId, exponent: TermId) -> Option<TermId> {
    let candidates = [2.0f64, 3.0, 0.5, 1.0];
    let found =
        candidates.into_iter().find(|p| (c.arg.is_float() || p.fract() == 0.0) && c.exact(*p) == exponent)?;
    Some(match found {
        2.0 => c.call(F::Mul, &[x, x]),
        3.0 => {
            let square = c.call(F::Mul, &[x, x]);
            c.call(F::Mul, &[square, x])
        }
        0.5 => c.call(F::Sqrt, &[x]),
        _ => x,
    })
}

fn mean(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    let (sum, count) = (c.fold(F::Add, x)?, c.number(x.len() as f32));
    Ok(c.call(F::Div, &[sum, count]))
}

fn is_inf(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    let (plus, minus) = (c.exact(f64::INFINITY), c.exact(f64::NEG_INFINITY));
    let (up, down) = (c.truth(F::Eq, x[0], plus), c.truth(F::Eq, x[0], minus));
    Ok(match (c.attrs.flag("detect_positive"), c.attrs.flag("detect_negative")) {
        (true, false) => up,
        (false, true) => down,
        (true, true) => c.truth(F::Or, up, down),
        (false, false) => c.terms.constant(DType::Bool, Scalar::Int(0)),
    })
}

fn clip(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    // Absent bounds arrive as the operand itself.
    let low = if x.len() > 1 && x[1] != x[0] { c.call(F::Max, &[x[0], x[1]]) } else { x[0] };
    Ok(if x.len() > 2 && x[2] != x[0] { c.call(F::Min, &[low, x[2]]) } else { low })
}

fn elu(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    let less = c.exp_less_one(x[0]);
    let below = c.scaled(less, c.attrs.float("alpha"));
    Ok(c.by_sign(x[0], x[0], below))
}

fn celu(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    let alpha = c.number(c.attrs.float("alpha"));
    let ratio = c.call(F::Div, &[x[0], alpha]);
    let less = c.exp_less_one(ratio);
    let below = c.call(F::Mul, &[alpha, less]);
    Ok(c.by_sign(x[0], x[0], below))
}

fn selu(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    let less = c.exp_less_one(x[0]);
    let below = c.scaled(less, c.attrs.float("alpha"));
    let joined = c.by_sign(x[0], x[0], below);
    Ok(c.scaled(joined, c.attrs.float("gamma")))
}

fn between_0_and_1(c: &mut Calc<'_>, x: TermId, alpha: f64, beta: f64) -> TermId {
    let (alpha, beta, zero, one) = (c.exact(alpha), c.exact(beta), c.number(0.0), c.number(1.0));
    let product = c.call(F::Mul, &[x, alpha]);
    let line = c.call(F::Add, &[product, beta]);
    let low = c.call(F::Max, &[line, zero]);
    c.call(F::Min, &[low, one])
}

fn hard_sigmoid(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    let (alpha, beta) = (c.attrs.float("alpha"), c.attrs.float("beta"));
    Ok(between_0_and_1(c, x[0], alpha.into(), beta.into()))
}

fn hard_swish(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    let gate = between_0_and_1(c, x[0], f64::from(1.0f32 / 6.0), 0.5);
    Ok(c.call(F::Mul, &[x[0], gate]))
}

/// `max(x, 0) + log(1 + exp(-|x|))`.
fn softplus(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    let (zero, one, size) = (c.number(0.0), c.number(1.0), c.call(F::Abs, &x[..1]));
    let minus = c.call(F::Neg, &[size]);
    let exp = c.call(F::Exp, &[minus]);
    let sum = c.call(F::Add, &[one, exp]);
    let (log, positive) = (c.call(F::Log, &[sum]), c.call(F::Max, &[x[0], zero]));
    Ok(c.call(F::Add, &[positive, log]))
}

fn gelu(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    let approximate =
        c.attrs.def.attrs.iter().any(|a| a.name == "approximate") && c.attrs.str("approximate") == "tanh";
    Ok(gelu_of(c, x[0], approximate))
}

fn gelu_of(c: &mut Calc<'_>, x: TermId, approximate: bool) -> TermId {
    let (half, one) = (c.number(0.5), c.number(1.0));
    let inner = if approximate {
        let (cubic, root) = (c.exact(0.044715), c.exact(0.797_884_560_802_865_4));
        let square = c.call(F::Mul, &[x, x]);
        let bent = c.call(F::Mul, &[square, cubic]);
        let factor = c.call(F::Add, &[bent, one]);
        let sum = c.call(F::Mul, &[x, factor]);
        let scaled = c.call(F::Mul, &[sum, root]);
        c.call(F::Tanh, &[scaled])
    } else {
        let root = c.exact(std::f64::consts::FRAC_1_SQRT_2);
        let scaled = c.call(F::Mul, &[x, root]);
        c.call(F::Erf, &[scaled])
    };
    let (sum, product) = (c.call(F::Add, &[inner, one]), c.call(F::Mul, &[x, half]));
    c.call(F::Mul, &[product, sum])
}

fn swish(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    let alpha = c.attrs.float("alpha");
    let inner = if alpha == 1.0 { x[0] } else { c.scaled(x[0], alpha) };
    let gate = c.call(F::Sigmoid, &[inner]);
    Ok(c.call(F::Mul, &[x[0], gate]))
}

fn shrink(c: &mut Calc<'_>, x: &[TermId]) -> Result<TermId> {
    let (bias, lambda) = (c.number(c.attrs.float("bias")), c.number(c.attrs.float("lambd")));
    let (zero, minus) = (c.number(0.0), c.call(F::Neg, &[lambda]));
    let (less, more) = (c.call(F::Add, &[x[0], bias]), c.call(F::Sub, &[x[0], bias]));
    let (below, above) = (c.truth(F::Lt, x[0], minus), c.truth(F::Lt, lambda, x[0]));
    let upper = c.select(above, more, zero);
    Ok(c.select(below, less, upper))
}

impl Lowering<'_> {
    /// Lowers an operator that works element by element.
    pub(crate) fn elementwise(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        let build = build_of(call.op())?;
        Some(self.elementwise_term(call, build).map(|h| vec![h]))
    }

    fn elementwise_term(&mut self, call: &Call<'_>, build: Build) -> Result<Handle> {
        let (dims, first) = (call.dims(0)?, call.operand(0)?);
        self.define_symbols(call)?;
        // Where an optional operand is absent, the first stands in its place.
        let operands: Vec<Handle> = call.operands.iter().map(|o| o.unwrap_or(first)).collect();
        self.one_anchor(&operands);
        let mut args = Vec::new();
        for operand in &operands {
            let from = self.dims_of(*operand);
            let at = self.broadcast(&from, &dims);
            args.push(self.read(*operand, &at));
        }
        let arg = self.dtype_of(if call.op() == "Where" { call.operand(1)? } else { first });
        let mut calc = Calc { terms: &mut self.terms, attrs: call.attrs, dtype: call.dtype(0), arg };
        let term = build(&mut calc, &args)?;
        Ok(self.lazy(dims, term))
    }
}
