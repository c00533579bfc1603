//! A session: everything that runs of one model need and keep. Many sessions may share a model; one session runs
//! in one thread at a time.
#![expect(unsafe_code, reason = "reads the tables of a compiled model")]

use core::ffi::c_char;

use crate::abi::{ABI_VERSION, DLTensor, SessionHead, WeftModel, WeftOptions, WeftPort, WeftProfile};
use crate::bind;
use crate::cores;
use crate::memory::{self, Array, Block};
use crate::plan::Planner;
use crate::pool::{Job, Pool};
use crate::sys;
use crate::text::{Text, c_bytes, slice};

/// The room for one error message.
pub type ErrorText = Text<1024>;

/// A run failed; the session's error text says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// One session. Its head is what generated code sees.
#[repr(C)]
#[derive(Debug)]
pub struct Session {
    head: SessionHead,
    /// Why the last run failed.
    pub error: ErrorText,
    /// The threads of the session.
    pub pool: Pool,
    syms: Array<i64>,
    bufs: Array<*mut u8>,
    sizes: Array<u64>,
    planner: Planner,
    /// The symbols that the plan in force was made for.
    planned_syms: Array<i64>,
    is_planned: bool,
    scratch: Block,
    /// The outputs' memory and then that of the grown buffers.
    owned: Array<Block>,
    /// The extents of all outputs, one after the other.
    shapes: Array<i64>,
    /// Memory that operators of this runtime work in.
    pub work: Block,
    profile: Option<Array<Tally>>,
}

/// Calls and nanoseconds.
type Tally = [u64; 2];

impl Session {
    /// Opens a session of `model`, or returns nothing and says why in `error`.
    ///
    /// # Safety
    /// The model must be laid out as its `abi` and `size` say, with valid tables, and must outlive the session.
    pub unsafe fn open(model: *const WeftModel, options: WeftOptions, error: &mut ErrorText) -> Option<Self> {
        // SAFETY: every version of a model begins with these two fields.
        let (abi, size) = unsafe { ((*model).abi, (*model).size) };
        if abi != ABI_VERSION || (size as usize) < size_of::<WeftModel>() {
            error.set(format_args!(
                "the model has ABI {abi} of {size} bytes, this runtime expects ABI {ABI_VERSION} of {} bytes",
                size_of::<WeftModel>()
            ));
            return None;
        }
        // SAFETY: version and size are ours.
        let session = Self::allocate(unsafe { &*model }, options);
        if session.is_none() {
            error.set(format_args!("memory or threads cannot be had for {} threads", threads(options)));
        }
        session
    }

    fn allocate(model: &WeftModel, options: WeftOptions) -> Option<Self> {
        let (planned, grown) = (model.n_planned as usize, model.n_grown as usize);
        let ports = model.n_inputs as usize + model.n_outputs as usize;
        // SAFETY: a valid model has this many outputs.
        let outputs = unsafe { slice(model.outputs, model.n_outputs as usize) };
        let extents = outputs.iter().map(|port| usize::from(port.rank)).sum();
        memory::advise_mapped(model.weights, model.weights_len);
        let mut session = Self {
            head: SessionHead {
                model,
                syms: core::ptr::null_mut(),
                bufs: core::ptr::null_mut(),
                sizes: core::ptr::null_mut(),
            },
            error: ErrorText::new(),
            pool: Pool::new(threads(options))?,
            syms: Array::new(model.n_syms as usize)?,
            bufs: Array::new(ports + planned + grown)?,
            sizes: Array::new(planned)?,
            planner: Planner::new(planned)?,
            planned_syms: Array::new(model.n_syms as usize)?,
            is_planned: false,
            scratch: Block::new(),
            owned: Array::new(outputs.len() + grown)?,
            shapes: Array::new(extents)?,
            work: Block::new(),
            profile: None,
        };
        if options.profile != 0 {
            session.profile = Some(Array::new(model.n_kernels as usize + 1)?);
        }
        session.head.syms = session.syms.as_mut_ptr();
        session.head.bufs = session.bufs.as_mut_ptr();
        session.head.sizes = session.sizes.as_mut_ptr();
        Some(session)
    }

    /// The model.
    pub fn model<'a>(&self) -> &'a WeftModel {
        // SAFETY: the model outlives the session.
        unsafe { &*self.head.model }
    }

    /// The model's inputs.
    pub fn inputs<'a>(&self) -> &'a [WeftPort] {
        // SAFETY: a valid model has this many inputs.
        unsafe { slice(self.model().inputs, self.model().n_inputs as usize) }
    }

    /// The model's outputs.
    pub fn outputs<'a>(&self) -> &'a [WeftPort] {
        // SAFETY: a valid model has this many outputs.
        unsafe { slice(self.model().outputs, self.model().n_outputs as usize) }
    }

    /// The values of the symbols.
    pub fn syms(&mut self) -> &mut [i64] {
        &mut self.syms
    }

    /// The value of one symbol.
    pub fn sym(&self, sym: usize) -> Option<i64> {
        self.syms.get(sym).copied()
    }

    /// The name of a symbol.
    pub fn sym_name<'a>(&self, sym: usize) -> &'a [u8] {
        // SAFETY: a valid model has this many names.
        let names = unsafe { slice(self.model().sym_names, self.model().n_syms as usize) };
        // SAFETY: names are C strings in the model.
        names.get(sym).map_or(&[], |&name| unsafe { c_bytes(name) })
    }

    /// Records why a run failed.
    pub fn fail(&mut self, message: core::fmt::Arguments<'_>) -> Failed {
        self.error.set(message);
        Failed
    }

    /// Runs the model on `inputs`; `outputs`, if there are any, are then those of the session.
    ///
    /// # Safety
    /// The inputs' shapes, strides and data must be as they say, and the outputs writable.
    pub unsafe fn run(&mut self, inputs: &[DLTensor], outputs: &mut [DLTensor]) -> Result<(), Failed> {
        let start = self.start();
        self.error.clear();
        let expected = self.outputs().len();
        if !outputs.is_empty() && outputs.len() != expected {
            return Err(
                self.fail(format_args!("found room for {} outputs, expected {expected}", outputs.len()))
            );
        }
        // SAFETY: the caller vouches for the tensors.
        unsafe { bind::inputs(self, inputs) }?;
        self.plan()?;
        let Some(run) = self.model().run else {
            return Err(self.fail(format_args!("the model has no code")));
        };
        // SAFETY: generated code is sound for bound inputs and a plan in force.
        if unsafe { run((&raw mut *self).cast()) } != 0 {
            if self.error.bytes().is_empty() {
                self.fail(format_args!("the model failed without saying why"));
            }
            return Err(Failed);
        }
        self.stop(self.model().n_kernels as usize, start);
        self.describe(outputs);
        Ok(())
    }

    fn describe(&mut self, outputs: &mut [DLTensor]) {
        let mut shape = 0;
        let first = self.inputs().len();
        for (index, (port, tensor)) in self.outputs().iter().zip(outputs).enumerate() {
            let rank = usize::from(port.rank);
            let extents = self.shapes[shape..shape + rank].as_mut_ptr();
            *tensor = bind::tensor(port, self.bufs[first + index], extents);
            shape += rank;
        }
    }

    /// Whether a plan is in force; it stays so during a run, whatever symbols the run decides.
    pub fn is_planned(&self) -> bool {
        self.is_planned
    }

    /// Makes the plan for the symbols as they are; nothing happens when it is already in force.
    pub fn plan(&mut self) -> Result<(), Failed> {
        if self.is_planned && *self.planned_syms == *self.syms {
            return Ok(());
        }
        self.is_planned = false;
        if let Some(sizes) = self.model().sizes {
            // SAFETY: generated code writes only the sizes of planned buffers.
            unsafe { sizes((&raw mut *self).cast()) };
        }
        // SAFETY: a valid model has a life for every planned buffer.
        let lives = unsafe { slice(self.model().lives, self.sizes.len()) };
        let total = self.planner.assign(lives, &self.sizes);
        if !total.is_some_and(|total| self.scratch.reserve(total)) {
            return Err(self.fail(format_args!("memory for the model's buffers cannot be had")));
        }
        let ports = self.inputs().len() + self.outputs().len();
        for (buffer, &offset) in self.bufs[ports..].iter_mut().zip(self.planner.offsets()) {
            *buffer = self.scratch.pointer().wrapping_add(offset as usize);
        }
        self.planned_syms.copy_from_slice(&self.syms);
        self.is_planned = true;
        Ok(())
    }

    /// Sets the address of input `index`.
    pub fn set_input(&mut self, index: usize, data: *mut u8) {
        self.bufs[index] = data;
    }

    /// Gives output `index` the extents `dims` and memory for them; what it held survives if that suffices.
    pub fn output(&mut self, index: usize, dims: &[i64]) -> Result<(), Failed> {
        let Some(port) = self.outputs().get(index) else {
            return Err(self.fail(format_args!("there is no output {index}")));
        };
        let Some(bytes) = bind::bytes(dims, port.bits) else {
            let name = bind::name(port);
            return Err(self.fail(format_args!("output `{name}`: found impossible extents {dims:?}")));
        };
        self.reserve(index, self.inputs().len() + index, bytes)?;
        let shape: usize = self.outputs()[..index].iter().map(|port| usize::from(port.rank)).sum();
        self.shapes[shape..shape + dims.len()].copy_from_slice(dims);
        Ok(())
    }

    /// Gives the grown buffer `index` at least `bytes` bytes; what it held survives if it need not grow.
    pub fn grow(&mut self, index: usize, bytes: u64) -> Result<(), Failed> {
        if index >= self.model().n_grown as usize {
            return Err(self.fail(format_args!("there is no grown buffer {index}")));
        }
        let outputs = self.outputs().len();
        let buffer = self.inputs().len() + outputs + self.sizes.len() + index;
        self.reserve(outputs + index, buffer, bytes)
    }

    fn reserve(&mut self, slot: usize, buffer: usize, bytes: u64) -> Result<(), Failed> {
        if !self.owned[slot].reserve(bytes) {
            return Err(self.fail(format_args!("{bytes} bytes of memory cannot be had")));
        }
        self.bufs[buffer] = self.owned[slot].pointer();
        Ok(())
    }

    /// Runs a kernel over its grid.
    ///
    /// # Safety
    /// As for [`Pool::launch`].
    pub unsafe fn launch(&mut self, job: Job, kernel: u32) {
        let start = self.start();
        // SAFETY: the caller vouches for it.
        unsafe { self.pool.launch(job) };
        self.stop(kernel as usize, start);
    }

    /// The calls and nanoseconds of every kernel and, last, of whole runs; empty unless they were asked for.
    pub fn tallies(&self) -> &[Tally] {
        self.profile.as_deref().unwrap_or_default()
    }

    /// The profile, in the order of [`Self::tallies`].
    pub fn profile(&self) -> impl Iterator<Item = WeftProfile> {
        // SAFETY: a valid model has this many kernels.
        let kernels = unsafe { slice(self.model().kernels, self.model().n_kernels as usize) };
        self.tallies().iter().enumerate().map(move |(index, &[calls, nanoseconds])| {
            let kernel = kernels.get(index);
            let name = kernel.map_or(c"(run)".as_ptr(), |kernel| kernel.name);
            let schedule = kernel.map_or(c"".as_ptr(), |kernel| kernel.schedule);
            WeftProfile { name, schedule, calls, nanoseconds }
        })
    }

    fn start(&self) -> u64 {
        if self.profile.is_some() { sys::nanoseconds() } else { 0 }
    }

    fn stop(&mut self, line: usize, start: u64) {
        let Some([calls, spent]) = self.profile.as_mut().and_then(|lines| lines.get_mut(line)) else {
            return;
        };
        *calls += 1;
        *spent += sys::nanoseconds().saturating_sub(start);
    }

    /// The error text for C; alive as long as the session.
    pub fn error_text(&self) -> *const c_char {
        self.error.as_ptr()
    }
}

/// How many threads the options ask for.
fn threads(options: WeftOptions) -> u32 {
    if options.threads == 0 { cores::count() } else { options.threads }
}
