//! Modules to objects, on threads.
//!
//! Every kernel is a module of its own, so that whatever LLVM says about one can name it, and so
//! that the order in which threads finish changes nothing. Kernels of equal content are one.
use crate::emit;
use crate::error::Error;
use crate::fatal;
use crate::host;
use crate::target::Machine;
use inkwell::context::Context;
use inkwell::module::Module;
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{FileType, TargetMachine};
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use weft_backend::OptLevel;
use weft_kernel::nest::Kernel;
use weft_kernel::program::Program;

/// What is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Object,
    Assembly,
    Ir,
}

/// What the generator needs to know besides the program.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) program: &'a Program,
    pub(crate) stem: &'a str,
    pub(crate) machine: &'a Machine,
    pub(crate) level: OptLevel,
    pub(crate) form: Form,
    /// How many threads; 0 for as many as there are processors.
    pub(crate) threads: usize,
}

/// The code of one unit: the host first, then each kernel.
pub(crate) fn generate(job: &Job<'_>) -> Result<Vec<Vec<u8>>, Error> {
    let first = first_of_equals(&job.program.kernels);
    let kernels: Vec<usize> = (0..first.len()).filter(|i| first[*i] == *i).collect();
    let units: Vec<Unit<'_>> = std::iter::once(Unit::Host(&first))
        .chain(kernels.iter().map(|i| Unit::Kernel(&job.program.kernels[*i])))
        .collect();
    let available = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = if job.threads == 0 { available } else { job.threads }.min(units.len());
    let next = AtomicUsize::new(0);
    let mut done: Vec<Done> = std::thread::scope(|scope| {
        let spawn = |_| {
            let worker = std::thread::Builder::new().name("weft codegen".to_string()).stack_size(STACK);
            worker.spawn_scoped(scope, || work(job, &units, &next))
        };
        let workers: Vec<_> = (0..threads).map(spawn).collect();
        let finished = workers.into_iter().map(|worker| {
            let worker = worker.map_err(|e| Error::Llvm(format!("no thread for the code generator: {e}")))?;
            worker.join().map_err(|_| lost())
        });
        finished.flat_map(|done| done.unwrap_or_else(|error| vec![(0, Err(error))])).collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, code)| code).collect()
}

/// LLVM descends deeply into large blocks; what it does not touch takes no memory.
const STACK: usize = 256 << 20;

type Done = (usize, Result<Vec<u8>, Error>);

fn lost() -> Error {
    Error::Llvm("a thread of the code generator ended early".to_string())
}

#[derive(Clone, Copy)]
enum Unit<'a> {
    /// The program; the numbers say which kernel stands for each.
    Host(&'a [usize]),
    Kernel(&'a Kernel),
}

/// Takes units until there are none left.
fn work(job: &Job<'_>, units: &[Unit<'_>], next: &AtomicUsize) -> Vec<Done> {
    let mut done = Vec::new();
    let generator = match job.machine.code_generator(job.level) {
        Ok(generator) => generator,
        Err(error) => return vec![(0, Err(error))],
    };
    let context = Context::create();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(unit) = units.get(number) else { return done };
        done.push((number, code(job, &context, &generator, *unit)));
    }
}

fn code(
    job: &Job<'_>,
    context: &Context,
    generator: &TargetMachine,
    unit: Unit<'_>,
) -> Result<Vec<u8>, Error> {
    let failed = |reason: String| match unit {
        Unit::Host(_) => Error::Program { program: job.program.name.clone(), reason },
        Unit::Kernel(kernel) => Error::Kernel { kernel: kernel.name.clone(), reason },
    };
    let (name, pipeline) = match unit {
        Unit::Host(_) => ("host", host_pipeline(job.level)),
        Unit::Kernel(kernel) => (kernel.name.as_str(), kernel_pipeline(job.level)),
    };
    fatal::working_on(&match unit {
        Unit::Host(_) => format!("program `{}`", job.program.name),
        Unit::Kernel(kernel) => format!("kernel `{}`", kernel.name),
    });
    let module = context.create_module(name);
    module.set_source_file_name(name);
    module.set_triple(&generator.get_triple());
    module.set_data_layout(&generator.get_target_data().get_data_layout());
    match unit {
        Unit::Host(first) => host::emit(context, &module, job, first).map_err(|e| failed(e.to_string()))?,
        Unit::Kernel(kernel) => {
            emit::kernel(context, &module, job.machine, kernel).map_err(|e| failed(e.to_string()))?
        }
    }
    module.verify().map_err(|e| failed(format!("the code is not well-formed: {e}")))?;
    let options = PassBuilderOptions::create();
    options.set_loop_vectorization(true);
    options.set_loop_unrolling(true);
    options.set_loop_interleaving(true);
    module.run_passes(pipeline, generator, options).map_err(|e| failed(e.to_string()))?;
    written(&module, generator, job.form).map_err(failed)
}

fn written(module: &Module<'_>, generator: &TargetMachine, form: Form) -> Result<Vec<u8>, String> {
    let kind = match form {
        Form::Ir => return Ok(module.print_to_string().to_bytes().to_vec()),
        Form::Object => FileType::Object,
        Form::Assembly => FileType::Assembly,
    };
    let buffer = generator.write_to_memory_buffer(module, kind).map_err(|e| e.to_string())?;
    let bytes = buffer.as_slice();
    // The buffer counts the zero that LLVM puts after it.
    let bytes = if kind == FileType::Assembly { bytes.strip_suffix(&[0]).unwrap_or(bytes) } else { bytes };
    Ok(bytes.to_vec())
}

/// What a kernel needs and no more: its schedule is applied already, so that the full pipeline would
/// take a third longer for the same code. Loops left to LLVM are vectorised and unrolled.
const SCHEDULED: &str = "function(\
    sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),gvn,\
    loop(indvars,loop-deletion),loop-vectorize,instcombine<no-verify-fixpoint>,simplifycfg,\
    loop-unroll<O2>,loop-mssa(licm),early-cse)";

fn kernel_pipeline(level: OptLevel) -> &'static str {
    match level {
        OptLevel::O0 => "function(sroa)",
        OptLevel::O1 => "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg)",
        OptLevel::O2 => SCHEDULED,
        OptLevel::O3 => "default<O3>",
    }
}

fn host_pipeline(_: OptLevel) -> &'static str {
    "function(early-cse,simplifycfg)"
}

/// The entry of a program: hands `main` and the stack to libc, as C's own start code does.
const START: &str = "
    .globl _start
    .type _start, @function
_start:
    xorl %ebp, %ebp
    movq %rdx, %r9
    popq %rsi
    movq %rsp, %rdx
    andq $-16, %rsp
    pushq %rax
    pushq %rsp
    xorl %r8d, %r8d
    xorl %ecx, %ecx
    leaq main(%rip), %rdi
    callq *__libc_start_main@GOTPCREL(%rip)
    hlt
";

/// The object that holds the entry of a program.
pub(crate) fn start(machine: &Machine) -> Result<Vec<u8>, Error> {
    fatal::working_on("the entry of the program");
    let generator = machine.code_generator(OptLevel::O1)?;
    let context = Context::create();
    let module = context.create_module("start");
    module.set_triple(&generator.get_triple());
    module.set_inline_assembly(START);
    written(&module, &generator, Form::Object).map_err(Error::Llvm)
}

/// For every kernel the number of the first one with the same content.
fn first_of_equals(kernels: &[Kernel]) -> Vec<usize> {
    let mut by_content: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut first = Vec::with_capacity(kernels.len());
    for (number, kernel) in kernels.iter().enumerate() {
        let candidates = by_content.entry(digest(kernel)).or_default();
        match candidates.iter().find(|other| same_code(&kernels[**other], kernel)) {
            Some(other) => first.push(*other),
            None => {
                candidates.push(number);
                first.push(number);
            }
        }
    }
    first
}

fn digest(kernel: &Kernel) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?}", kernel.body).hash(&mut hasher);
    hasher.finish()
}

/// Whether two kernels differ in names only.
fn same_code(a: &Kernel, b: &Kernel) -> bool {
    a.buffers.len() == b.buffers.len()
        && a.buffers.iter().zip(&b.buffers).all(|(a, b)| a.elem == b.elem && a.access == b.access)
        && a.dims.len() == b.dims.len()
        && a.regs == b.regs
        && a.vars == b.vars
        && a.task == b.task
        && a.body == b.body
}
