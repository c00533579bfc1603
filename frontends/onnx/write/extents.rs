//! Symbolic extents as nodes that compute them from the shapes of values.
use super::graph::GraphWriter;
use super::parts;
use weft_frontend::Cause;
use weft_ir::{Atom, Attr, Dim, NodeId, Tensor, Value};

/// A part of a vector of extents that is read or given at once.
enum Run {
    Numbers(Vec<i64>),
    /// Extents that lie side by side in the shape of a value: its name, the first axis, how many.
    Shape(String, usize, usize),
    Computed(Dim),
}

impl GraphWriter<'_, '_> {
    /// Whether the vector of extents is written into the reshapes that use it, and so not at all.
    pub(super) fn is_written_by_users(&self, extents: Value) -> bool {
        let goes_out = self.graph.outputs().contains(&extents);
        let is_shape = |(id, position)| position == 1 && self.target(id).is_some();
        !goes_out && self.graph.uses(extents).into_iter().all(is_shape)
    }

    /// The shape operand of a reshape to extents as a constant, without `allowzero`: 0 where an extent
    /// stays, -1 for one that follows from the others. `None` where that does not say enough: of two
    /// extents neither follows, and beside one that stays and may be 0 in a run, none does.
    pub(super) fn target(&self, id: NodeId) -> Option<Vec<i64>> {
        let node = self.graph.node(id);
        let (data, shape) = (self.graph.operand(id, 0)?, self.graph.operand(id, 1)?);
        if node.op != "Reshape" || self.graph.node(shape.node).op != "weft.Extents" {
            return None;
        }
        let may_be_empty = node.attrs.contains_key("allowzero");
        let from = self.graph.ty(data).dims.as_ref()?;
        let to = node.results.first()?.ty.dims.as_ref()?;
        let number = |(i, dim): (usize, &Dim)| match dim.as_fixed() {
            Some(n) if n > 0 => n,
            _ if from.get(i) == Some(dim) => 0,
            _ => -1,
        };
        let target: Vec<i64> = to.iter().enumerate().map(number).collect();
        let is_nothing = |(dim, n): (&Dim, &i64)| *n == -1 && dim.as_fixed() == Some(0);
        let count = |number: i64| target.iter().filter(|n| **n == number).count();
        let says_enough = match count(-1) {
            0 => true,
            1 => (!may_be_empty || count(0) == 0) && !to.iter().zip(&target).any(is_nothing),
            _ => false,
        };
        says_enough.then_some(target)
    }

    /// A vector of extents under that name.
    pub(super) fn extents(&mut self, dims: &[Dim], name: &str) -> Result<(), Cause> {
        let mut runs = self.runs(dims);
        match (runs.len(), runs.pop()) {
            (0, None) => self.weights.push(parts::tensor(name, &Tensor::vector::<i64>(&[]))),
            (1, Some(Run::Numbers(numbers))) => {
                self.weights.push(parts::tensor(name, &Tensor::vector(&numbers)))
            }
            (1, Some(Run::Shape(value, axis, count))) => self.shape(&value, (axis, count), name)?,
            (_, last) => {
                let runs = runs.into_iter().chain(last);
                let elements = runs.map(|run| self.run(run)).collect::<Result<Vec<_>, _>>()?;
                let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
                self.step("Concat", &elements, vec![parts::attribute("axis", &Attr::Int(0))?], name);
            }
        }
        Ok(())
    }

    /// The extents in as few parts as can be.
    fn runs(&self, dims: &[Dim]) -> Vec<Run> {
        let mut runs = Vec::new();
        for dim in dims {
            let place = dim.as_symbol().and_then(|name| self.symbols.get(name));
            match (runs.last_mut(), dim.as_fixed(), place) {
                (Some(Run::Numbers(numbers)), Some(number), _) => numbers.push(number),
                (_, Some(number), _) => runs.push(Run::Numbers(vec![number])),
                (Some(Run::Shape(value, first, count)), _, Some((of, axis)))
                    if value == of && *first + *count == *axis =>
                {
                    *count += 1;
                }
                (_, _, Some((value, axis))) => runs.push(Run::Shape(value.clone(), *axis, 1)),
                _ => runs.push(Run::Computed(dim.clone())),
            }
        }
        runs
    }

    fn run(&mut self, run: Run) -> Result<String, Cause> {
        match run {
            Run::Numbers(numbers) => Ok(self.numbers(&numbers)),
            Run::Shape(value, axis, count) => self.read(value, axis, count),
            Run::Computed(dim) => self.extent(&dim),
        }
    }

    /// The name of a vector of one element, the extent.
    fn extent(&mut self, dim: &Dim) -> Result<String, Cause> {
        let mut sum: Option<String> = None;
        for (atoms, factor) in dim.terms() {
            let mut product = None;
            for atom in atoms {
                let atom = self.atom(atom)?;
                product = Some(self.joined("Mul", product, atom));
            }
            if factor != 1 || product.is_none() {
                let factor = self.number(factor);
                product = Some(self.joined("Mul", product, factor));
            }
            if let Some(product) = product {
                sum = Some(self.joined("Add", sum, product));
            }
        }
        Ok(sum.unwrap_or_else(|| self.number(0)))
    }

    fn atom(&mut self, atom: &Atom) -> Result<String, Cause> {
        let (op, a, b) = match atom {
            Atom::Symbol(name) => {
                let (value, axis) = self.symbol(name)?;
                return self.read(value, axis, 1);
            }
            Atom::Div(a, b) => return self.quotient(a, b),
            Atom::Mod(a, b) => ("Mod", a, b),
            Atom::Min(a, b) => ("Min", a, b),
            Atom::Max(a, b) => ("Max", a, b),
        };
        let (a, b) = (self.extent(a)?, self.extent(b)?);
        Ok(self.joined(op, Some(a), b))
    }

    /// `floor(a / b)` as `(a - a mod b) / b`, for the division of ONNX cuts towards zero.
    fn quotient(&mut self, a: &Dim, b: &Dim) -> Result<String, Cause> {
        let (a, b) = (self.extent(a)?, self.extent(b)?);
        let rest = self.joined("Mod", Some(a.clone()), b.clone());
        let whole = self.joined("Sub", Some(a), rest);
        Ok(self.joined("Div", Some(whole), b))
    }

    /// Neighbouring extents of a value; read once in each graph.
    fn read(&mut self, value: String, axis: usize, count: usize) -> Result<String, Cause> {
        let key = (value, axis, count);
        if let Some(known) = self.extents_read.get(&key) {
            return Ok(known.clone());
        }
        let output = self.shared.names.unique(&format!("extent/{}/{axis}", key.0));
        self.shape(&key.0, (axis, count), &output)?;
        self.extents_read.insert(key, output.clone());
        Ok(output)
    }

    fn shape(&mut self, value: &str, (axis, count): (usize, usize), output: &str) -> Result<(), Cause> {
        let int = |name: &str, number: usize| parts::attribute(name, &Attr::Int(number as i64));
        let attributes = vec![int("start", axis)?, int("end", axis + count)?];
        self.step("Shape", &[value], attributes, output);
        Ok(())
    }

    fn number(&mut self, number: i64) -> String {
        self.numbers(&[number])
    }

    pub(super) fn numbers(&mut self, numbers: &[i64]) -> String {
        let stem: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let name = self.shared.names.unique(&format!("extent/{}", stem.join("x")));
        self.weights.push(parts::tensor(&name, &Tensor::vector(numbers)));
        name
    }

    /// The operator applied to both, or the second alone if there is no first.
    fn joined(&mut self, op: &str, first: Option<String>, second: String) -> String {
        let Some(first) = first else { return second };
        let name = self.shared.names.unique(&format!("extent/{}", op.to_lowercase()));
        self.step(op, &[&first, &second], Vec::new(), &name);
        name
    }
}
