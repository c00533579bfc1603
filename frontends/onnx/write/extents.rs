//! Symbolic extents as nodes that compute them from the shapes of values.
use super::graph::GraphWriter;
use super::parts;
use weft_frontend::Cause;
use weft_ir::{Atom, Attr, Dim, Tensor};

impl GraphWriter<'_, '_> {
    /// A vector of extents under that name.
    pub(super) fn extents(&mut self, dims: &[Dim], name: &str) -> Result<(), Cause> {
        let numbers: Option<Vec<i64>> = dims.iter().map(Dim::as_fixed).collect();
        if let Some(numbers) = numbers {
            self.weights.push(parts::tensor(name, &Tensor::vector(&numbers)));
            return Ok(());
        }
        let mut elements = Vec::with_capacity(dims.len());
        for dim in dims {
            elements.push(self.extent(dim)?);
        }
        let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
        self.step("Concat", &elements, vec![parts::attribute("axis", &Attr::Int(0))?], name);
        Ok(())
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
            Atom::Symbol(name) => return self.read(name),
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

    /// The extent of that name, read from a value that has it.
    fn read(&mut self, name: &str) -> Result<String, Cause> {
        let (value, axis) = self.symbol(name)?;
        let output = self.shared.names.unique(&format!("extent/{name}"));
        let int = |name: &str, number: usize| parts::attribute(name, &Attr::Int(number as i64));
        let attributes = vec![int("start", axis)?, int("end", axis + 1)?];
        self.step("Shape", &[&value], attributes, &output);
        Ok(output)
    }

    fn number(&mut self, number: i64) -> String {
        let name = self.shared.names.unique(&format!("extent/{number}"));
        self.weights.push(parts::tensor(&name, &Tensor::vector(&[number])));
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
