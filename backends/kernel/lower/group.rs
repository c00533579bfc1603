//! Groups of channels brought to mean 0 and variance 1; one channel each for
//! `InstanceNormalization`.
use super::formula::wide;
use super::{Call, Handle, Lowering, Result, View, identity};
use crate::math::Function as F;
use crate::nest::Kernel;
use crate::program::{Memory, Step};
use crate::schedule::{Moments, Norm};
use crate::term::{Index, Term, TermId};
use weft_ir::{DType, Dim};

impl Lowering<'_> {
    /// `InstanceNormalization` and `GroupNormalization`.
    pub(crate) fn group_norm(&mut self, call: &Call<'_>) -> Result<Handle> {
        let dims = call.dims(0)?;
        let last = call.attrs.str("layout") == "nhwc";
        let channels = dims[if last { dims.len() - 1 } else { 1 }].clone();
        let groups = match call.op() {
            "InstanceNormalization" => channels.clone(),
            _ => Dim::fixed(call.attrs.int("num_groups")),
        };
        let from = call.operand(0)?;
        if !last {
            return self.channels_first_norm(call, from, &groups);
        }
        if let (Some(channels), Some(groups)) = (channels.as_fixed(), groups.as_fixed()) {
            return self.channels_last_norm(call, (channels, groups.max(1)));
        }
        let rank = dims.len();
        let turned: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
        let back: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
        let first = self.permuted(from, &turned)?;
        let normalised = self.channels_first_norm(call, first, &groups)?;
        self.permuted(normalised, &back)
    }

    fn channels_first_norm(&mut self, call: &Call<'_>, from: Handle, groups: &Dim) -> Result<Handle> {
        let dims = self.dims_of(from);
        if *groups != dims[1] {
            return self.group_rows(call, from, groups);
        }
        let norm = Norm::Centred(call.attrs.float("epsilon").into());
        let normalised = self.normalised(from, (2..dims.len()).collect(), norm);
        let x = self.here(normalised);
        Ok(self.by_channel(call, x, (call.optional(1), call.optional(2)), &dims))
    }

    /// Sums over the pixels of an image with channels last give a mean and a factor for each channel.
    fn channels_last_norm(&mut self, call: &Call<'_>, (channels, groups): (i64, i64)) -> Result<Handle> {
        let from = call.operand(0)?;
        let (dtype, dims) = (wide(self.dtype_of(from)), self.dims_of(from));
        let x = self.cast(from, dtype);
        let image = self.force_whole(x);
        let rank = dims.len();
        let what = Moments {
            dtype,
            batch: dims[0].clone(),
            pixels: dims[1..rank - 1].iter().fold(Dim::fixed(1), |p, d| p.mul(d)),
            channels,
            each: (channels / groups).max(1),
            epsilon: call.attrs.float("epsilon").into(),
        };
        let factors = self.vector(call.operand(1)?, dtype);
        let summands = self.vector(call.operand(2)?, dtype);
        let found = self.moments(call, &what, (&image, &factors));
        let (x, rank) = (self.read_view(&image, &identity(rank), dtype), rank as u32);
        let mut coefficient = |at: i64| {
            let place = [Index::axis(0), Index::fixed(at), Index::axis(rank - 1)];
            self.read_view(&found, &place, dtype)
        };
        let (mean, factor) = (coefficient(0), coefficient(1));
        let summand = self.read_view(&summands, &[Index::axis(rank - 1)], dtype);
        let x = self.minus(x, mean);
        let y = self.apply(F::Fma, &[x, factor, summand]);
        let y = self.cast_term(y, call.dtype(0));
        Ok(self.lazy(dims, y))
    }

    /// A vector in memory, without gaps.
    fn vector(&mut self, handle: Handle, dtype: DType) -> View {
        let handle = self.cast(handle, dtype);
        self.force_whole(handle)
    }

    /// Launches both kernels; the result is `[image, 2, channel]`.
    fn moments(&mut self, call: &Call<'_>, what: &Moments, (image, factors): (&View, &View)) -> View {
        let two = [what.batch.clone(), Dim::fixed(2), Dim::fixed(what.channels)];
        let parts = [what.batch.clone(), what.blocks(), Dim::fixed(2), Dim::fixed(what.channels)];
        let (sums, found) =
            (self.allocate(what.dtype, &parts, "sums"), self.allocate(what.dtype, &two, "moments"));
        let place = |view: &View| (view.memory, view.offset.scale(i64::from(what.dtype.bits()) / 8));
        let stem = call.graph.name_of(call.result(0)).to_string();
        let (kernel, tasks) = what.sums(&self.kernel_name(&stem), &self.machine);
        self.launch_on(kernel, vec![place(image), place(&sums)], tasks);
        let (kernel, tasks) = what.joined(&self.kernel_name(&stem), &self.machine);
        let args = [image, &sums, factors, &found].map(place).to_vec();
        self.launch_on(kernel, args, tasks);
        found
    }

    /// The element of a view at a position.
    fn read_view(&mut self, view: &View, at: &[Index], dtype: DType) -> TermId {
        let source = self.source(view.memory);
        self.terms.add(Term::Load(source, dtype, view.address(at)))
    }

    /// Adds a kernel and a step that launches it on some memory, by offsets in bytes.
    pub(crate) fn launch_on(&mut self, kernel: Kernel, args: Vec<(Memory, Dim)>, tasks: Dim) {
        self.program.kernels.push(kernel);
        let kernel = self.program.kernels.len() as u32 - 1;
        self.step(Step::Launch { kernel, args, tasks });
    }
}
