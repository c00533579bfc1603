//! Random numbers, drawn by the runtime, and what inference drops of training.
use super::runtime::known_integers;
use super::select::elem_code;
use super::{Call, Handle, Lowering, Result, identity};
use crate::program::Step;
use weft_ir::Dim;

impl Lowering<'_> {
    /// Lowers random operators.
    pub(crate) fn random(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "RandomNormal" | "RandomNormalLike" => {
                self.drawn(call, "weft_rt_random_normal", ["mean", "scale"]).map(|h| vec![h])
            }
            "RandomUniform" | "RandomUniformLike" => {
                self.drawn(call, "weft_rt_random_uniform", ["low", "high"]).map(|h| vec![h])
            }
            "Bernoulli" => self.bernoulli(call).map(|h| vec![h]),
            "Multinomial" => self.multinomial(call).map(|h| vec![h]),
            "Dropout" => self.dropout(call),
            _ => return None,
        })
    }

    /// What every draw is told: element type, count, seed, and a stream of its own.
    fn draw(&mut self, call: &Call<'_>) -> Result<Vec<Dim>> {
        let seed = call.attrs.float_opt("seed").map_or(0, |seed| i64::from(seed.to_bits()));
        let stream = self.program.steps.len() + self.steps.iter().map(Vec::len).sum::<usize>();
        let count = Self::elements(&call.dims(0)?);
        Ok(vec![elem_code(call.dtype(0))?, count, Dim::fixed(seed), Dim::fixed(stream as i64)])
    }

    fn drawn(&mut self, call: &Call<'_>, function: &'static str, names: [&str; 2]) -> Result<Handle> {
        let mut dims = self.draw(call)?;
        let bits = |name: &str| Dim::fixed(f64::from(call.attrs.float(name)).to_bits() as i64);
        dims.extend(names.map(bits));
        let extents = call.dims(0)?;
        let to = self.target(call, 0, &extents);
        let args = vec![self.room_for(&to, call.dtype(0))];
        self.step(Step::Call { function, args, dims, results: Vec::new() });
        self.stored(call, 0, to)
    }

    fn bernoulli(&mut self, call: &Call<'_>) -> Result<Handle> {
        let from = call.operand(0)?;
        let mut dims = self.draw(call)?;
        dims.push(elem_code(self.dtype_of(from))?);
        self.drawn_from(call, "weft_rt_bernoulli", from, dims)
    }

    fn multinomial(&mut self, call: &Call<'_>) -> Result<Handle> {
        let from = call.operand(0)?;
        let mut dims = self.draw(call)?;
        dims.push(elem_code(self.dtype_of(from))?);
        dims.extend([self.dims_of(from)[1].clone(), Dim::fixed(call.attrs.int("sample_size"))]);
        self.drawn_from(call, "weft_rt_multinomial", from, dims)
    }

    fn drawn_from(
        &mut self,
        call: &Call<'_>,
        function: &'static str,
        from: Handle,
        dims: Vec<Dim>,
    ) -> Result<Handle> {
        let data = self.argument_of(from);
        let extents = call.dims(0)?;
        let to = self.target(call, 0, &extents);
        let args = vec![self.room_for(&to, call.dtype(0)), data];
        self.step(Step::Call { function, args, dims, results: Vec::new() });
        self.stored(call, 0, to)
    }

    /// `Dropout` drops nothing outside of training.
    fn dropout(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let ratio = call.graph.operand(call.id, 1).and_then(|v| call.graph.constant(v)?.as_scalar());
        if call.optional(2).is_some() && ratio != Some(0.0) {
            let training = known_integers(call, 2).and_then(|known| known.first()?.as_fixed());
            match training {
                Some(0) => {}
                Some(_) => return Err("dropping elements in training is not supported".to_string()),
                None => return Err("whether it trains is known only at run time".to_string()),
            }
        }
        let (x, all) = (self.read(from, &identity(dims.len())), self.truth(true));
        Ok(vec![self.lazy(dims.clone(), x), self.lazy(dims, all)])
    }
}
