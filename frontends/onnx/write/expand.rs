//! Operators that an older opset has not got, written out in those it has.
use super::graph::GraphWriter;
use super::parts;
use crate::call::number_of;
use crate::proto::AttributeProto;
use weft_frontend::Cause;
use weft_ir::{Attr, Attrs, DType, NodeId, Tensor, TensorType};

/// One node being written out.
struct Expansion<'w, 's, 'a> {
    writer: &'w mut GraphWriter<'s, 'a>,
    /// What the steps are called after.
    name: String,
    ty: TensorType,
}

impl GraphWriter<'_, '_> {
    /// Writes out a node that came with opset `needed` only.
    pub(super) fn expand(
        &mut self,
        id: NodeId,
        input: &[String],
        output: &[String],
        needed: i64,
    ) -> Result<(), Cause> {
        let node = self.graph.node(id);
        let newest = self.shared.newest;
        let too_new =
            || Cause::Unsupported(format!("it came with opset {needed}, the one asked for is {newest}"));
        let def = self.shared.ops.get(node.op.as_str()).ok_or_else(too_new)?;
        let ty = self.graph.operand(id, 0).map(|value| self.graph.ty(value).clone()).ok_or_else(too_new)?;
        let [name] = output else { return Err(too_new()) };
        let attrs = Attrs { def, node };
        let mut to = Expansion { writer: self, name: name.clone(), ty };
        let last = match (node.op.as_str(), input) {
            ("Gelu", [x]) if attrs.str("approximate") == "tanh" => to.gelu_by_tanh(x)?,
            ("Gelu", [x]) => to.gelu(x)?,
            ("Swish", [x]) => to.swish(x, attrs.float("alpha"))?,
            ("RMSNormalization", [x, scale]) if to.is_f32() => to.rms(x, scale, &attrs)?,
            ("GroupNormalization", [x, scale, bias]) if to.is_f32() => to.groups(x, (scale, bias), &attrs)?,
            _ => return Err(too_new()),
        };
        to.put(last.0, &[&last.1, &last.2], Vec::new());
        Ok(())
    }
}

/// The last step: an operator and its two operands.
type Last = (&'static str, String, String);

impl Expansion<'_, '_, '_> {
    fn is_f32(&self) -> bool {
        self.ty.dtype == DType::F32
    }

    /// The last step, which bears the name of the result.
    fn put(&mut self, op: &str, input: &[&str], attributes: Vec<AttributeProto>) {
        let name = self.name.clone();
        self.writer.step(op, input, attributes, &name);
    }

    fn fresh(&mut self, what: &str) -> String {
        self.writer.shared.names.unique(&format!("{}/{what}", self.name))
    }

    fn step(&mut self, op: &str, input: &[&str], attributes: Vec<AttributeProto>) -> String {
        let name = self.fresh(&op.to_lowercase());
        self.writer.step(op, input, attributes, &name);
        name
    }

    fn weight(&mut self, tensor: &Tensor) -> String {
        let name = self.fresh("constant");
        self.writer.weights.push(parts::tensor(&name, tensor));
        name
    }

    /// A number of the operand's type.
    fn number(&mut self, value: f64) -> Result<String, Cause> {
        let scalar = match self.ty.dtype {
            DType::F64 => Tensor::scalar(value),
            dtype => number_of(dtype, value as f32)?,
        };
        Ok(self.weight(&scalar))
    }

    fn ints(&mut self, values: &[i64]) -> String {
        self.weight(&Tensor::vector(values))
    }

    /// `x * 0.5 * (1 + erf(x / sqrt(2)))`.
    fn gelu(&mut self, x: &str) -> Result<Last, Cause> {
        let root = self.number(std::f64::consts::SQRT_2)?;
        let scaled = self.step("Div", &[x, &root], Vec::new());
        let erf = self.step("Erf", &[&scaled], Vec::new());
        self.half_of_one_more(x, &erf)
    }

    /// `x * 0.5 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`.
    fn gelu_by_tanh(&mut self, x: &str) -> Result<Last, Cause> {
        let (cubic, root) = (self.number(0.044_715)?, self.number((2.0 / std::f64::consts::PI).sqrt())?);
        let square = self.step("Mul", &[x, x], Vec::new());
        let cube = self.step("Mul", &[&square, x], Vec::new());
        let small = self.step("Mul", &[&cube, &cubic], Vec::new());
        let sum = self.step("Add", &[x, &small], Vec::new());
        let inner = self.step("Mul", &[&sum, &root], Vec::new());
        let tanh = self.step("Tanh", &[&inner], Vec::new());
        self.half_of_one_more(x, &tanh)
    }

    fn half_of_one_more(&mut self, x: &str, y: &str) -> Result<Last, Cause> {
        let (one, half) = (self.number(1.0)?, self.number(0.5)?);
        let more = self.step("Add", &[y, &one], Vec::new());
        let halved = self.step("Mul", &[x, &half], Vec::new());
        Ok(("Mul", halved, more))
    }

    /// `x * sigmoid(alpha * x)`.
    fn swish(&mut self, x: &str, alpha: f32) -> Result<Last, Cause> {
        let mut inner = x.to_string();
        if alpha != 1.0 {
            let alpha = self.number(alpha.into())?;
            inner = self.step("Mul", &[x, &alpha], Vec::new());
        }
        let gate = self.step("Sigmoid", &[&inner], Vec::new());
        Ok(("Mul", x.to_string(), gate))
    }

    /// `x / sqrt(mean(x * x) + epsilon) * scale`.
    fn rms(&mut self, x: &str, scale: &str, attrs: &Attrs<'_>) -> Result<Last, Cause> {
        let rank = self.ty.rank().map_or(0, |rank| rank as i64);
        let first = attrs.int("axis");
        let first = if first < 0 { first + rank } else { first };
        let axes = self.ints(&(first..rank).collect::<Vec<_>>());
        let epsilon = self.number(attrs.float("epsilon").into())?;
        let square = self.step("Mul", &[x, x], Vec::new());
        let mean = self.step("ReduceMean", &[&square, &axes], Vec::new());
        let moved = self.step("Add", &[&mean, &epsilon], Vec::new());
        let root = self.step("Sqrt", &[&moved], Vec::new());
        let norm = self.step("Div", &[x, &root], Vec::new());
        Ok(("Mul", norm, scale.to_string()))
    }

    /// Groups as the channels of `InstanceNormalization`, then scaled and moved by channel.
    fn groups(&mut self, x: &str, (scale, bias): (&str, &str), attrs: &Attrs<'_>) -> Result<Last, Cause> {
        let groups = attrs.int("num_groups");
        let count = u64::try_from(groups).map_err(|_| Cause::unsupported("a negative number of groups"))?;
        let (shape, split) = (self.step("Shape", &[x], Vec::new()), self.ints(&[0, groups, -1]));
        let grouped = self.step("Reshape", &[x, &split], Vec::new());
        let fill = |value: f32| {
            Tensor::new(DType::F32, vec![count], value.to_le_bytes().repeat(count as usize).into())
        };
        let fill = |value| fill(value).map_err(|error| Cause::Unsupported(error.to_string()));
        let (ones, zeros) = (self.weight(&fill(1.0)?), self.weight(&fill(0.0)?));
        let epsilon = parts::attribute("epsilon", &Attr::Float(attrs.float("epsilon")))?;
        let norm = self.step("InstanceNormalization", &[&grouped, &ones, &zeros], vec![epsilon]);
        let back = self.step("Reshape", &[&norm, &shape], Vec::new());
        let spatial: Vec<i64> = (1..self.ty.rank().unwrap_or(2) as i64 - 1).collect();
        let axes = self.ints(&spatial);
        let scale = self.step("Unsqueeze", &[scale, &axes], Vec::new());
        let bias = self.step("Unsqueeze", &[bias, &axes], Vec::new());
        let scaled = self.step("Mul", &[&back, &scale], Vec::new());
        Ok(("Add", scaled, bias))
    }
}
