//! Forcing: writes the kernel that puts a tensor into memory.
use super::anchor::Kind;
use super::{Handle, Lowering, State, View, identity};
use crate::program::{Memory, Step};
use crate::schedule::{self, Gemm, Map, Reduction, Row, Scheduled};
use crate::term::{Source, TermId};
use weft_ir::{DType, Dim};

impl Lowering<'_> {
    /// Puts a tensor into memory, if it is not there.
    pub(crate) fn force(&mut self, handle: Handle) -> View {
        self.force_into(handle, None, "t")
    }

    /// Puts a tensor into memory in row-major order, if it is not there so.
    pub(crate) fn force_whole(&mut self, handle: Handle) -> View {
        let view = self.force(handle);
        let (dtype, dims) = (self.dtype_of(handle), self.dims_of(handle));
        if view.is_contiguous(&dims) {
            return view;
        }
        let whole = self.allocate(dtype, &dims, "whole");
        self.copy(handle, &whole);
        whole
    }

    /// Puts a tensor into the given memory, or into new memory of its own.
    pub(crate) fn force_into(&mut self, handle: Handle, target: Option<View>, name: &str) -> View {
        self.refresh(handle);
        let (term, anchor) = match self.state(handle).clone() {
            State::View(view) => return view,
            State::Lazy(term, anchor) => (term, anchor),
        };
        let (dtype, dims) = (self.dtype_of(handle), self.dims_of(handle));
        let view = match target {
            Some(view) => {
                self.size_output(&view, &dims);
                view
            }
            None => self.allocate(dtype, &dims, name),
        };
        self.write_kernel(term, anchor, &dims, &view, name);
        self.tensors[handle.0 as usize].state = State::View(view.clone());
        view
    }

    /// Copies a tensor that is in memory.
    pub(crate) fn copy(&mut self, handle: Handle, target: &View) {
        let dims = self.dims_of(handle);
        self.size_output(target, &dims);
        let term = self.read(handle, &identity(dims.len()));
        self.write_kernel(term, None, &dims, target, "copy");
    }

    /// Writes and launches the kernel that computes a term, around its anchor if it has one.
    pub(crate) fn write_kernel(
        &mut self,
        term: TermId,
        anchor: Option<u32>,
        dims: &[Dim],
        to: &View,
        name: &str,
    ) {
        let name = self.kernel_name(name);
        let out = to.address(&identity(dims.len()));
        let scheduled = match anchor.map(|a| self.anchors[a as usize].kind.clone()) {
            None => {
                let what = Map { dims: dims.to_vec(), root: term, out };
                schedule::map(&name, &self.machine, &self.terms, &what)
            }
            Some(Kind::Reduce { inner, input, combine }) => {
                let what = Reduction { dims: dims.to_vec(), inner, input, combine, root: term, out };
                schedule::reduce(&name, &self.machine, &self.terms, &what)
            }
            Some(Kind::Gemm { batch, depth, a, b, b_start, tile, codes, narrow, skips }) => {
                let dims = dims.to_vec();
                let what = Gemm { dims, batch, depth, a, b, b_start, tile, codes, narrow, root: term, out };
                match skips {
                    true => return self.launch_skipping(&name, &what, to.memory),
                    false => schedule::gemm(&name, &self.machine, &self.terms, &what),
                }
            }
            Some(Kind::Row { axes, input, norm }) => {
                let what = Row { dims: dims.to_vec(), axes, input, norm, root: term, out };
                schedule::row(&name, &self.machine, &self.terms, &what)
            }
        };
        self.launch(scheduled, to.memory);
    }

    /// Adds a kernel to the program and a step that launches it.
    pub(crate) fn launch(&mut self, scheduled: Scheduled, out: Memory) {
        let Scheduled { kernel, sources, tasks } = scheduled;
        let memory = |source: Source| (self.sources[source.0 as usize], Dim::fixed(0));
        let mut args: Vec<_> = sources.into_iter().map(memory).collect();
        args.push((out, Dim::fixed(0)));
        self.program.kernels.push(kernel);
        let kernel = self.program.kernels.len() as u32 - 1;
        self.step(Step::Launch { kernel, args, tasks });
    }

    pub(crate) fn kernel_name(&self, stem: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let stem: String = stem.chars().map(plain).take(40).collect();
        format!("k{}_{stem}", self.program.kernels.len())
    }

    /// Bytes of a tensor.
    pub(crate) fn bytes(dtype: DType, dims: &[Dim]) -> Dim {
        let elements = dims.iter().fold(Dim::fixed(1), |p, d| p.mul(d));
        elements.scale(i64::from(dtype.bits().max(8)) / 8)
    }
}
