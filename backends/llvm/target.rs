//! Processors by name, and what LLVM is told about them.
use crate::error::Error;
use inkwell::OptimizationLevel;
use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::context::Context;
use inkwell::targets::{
    CodeModel, InitializationConfig, RelocMode, Target as LlvmTarget, TargetMachine, TargetTriple,
};
use inkwell::values::FunctionValue;
use std::sync::Once;
use weft_backend::{Level, OptLevel, Target};

/// The only triple so far.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Processors that may be named, with their level and whether they have VNNI and BF16.
const NAMED: &[(&str, Level, bool, bool)] = &[
    ("x86-64", Level::V1, false, false),
    ("x86-64-v2", Level::V2, false, false),
    ("x86-64-v3", Level::V3, false, false),
    ("x86-64-v4", Level::V4, false, false),
    ("nehalem", Level::V2, false, false),
    ("westmere", Level::V2, false, false),
    ("sandybridge", Level::V2, false, false),
    ("ivybridge", Level::V2, false, false),
    ("haswell", Level::V3, false, false),
    ("broadwell", Level::V3, false, false),
    ("skylake", Level::V3, false, false),
    ("alderlake", Level::V3, true, false),
    ("raptorlake", Level::V3, true, false),
    ("meteorlake", Level::V3, true, false),
    ("arrowlake", Level::V3, true, false),
    ("sierraforest", Level::V3, true, false),
    ("znver1", Level::V3, false, false),
    ("znver2", Level::V3, false, false),
    ("znver3", Level::V3, false, false),
    ("skylake-avx512", Level::V4, false, false),
    ("cascadelake", Level::V4, true, false),
    ("cooperlake", Level::V4, true, true),
    ("cannonlake", Level::V4, false, false),
    ("icelake-client", Level::V4, true, false),
    ("icelake-server", Level::V4, true, false),
    ("tigerlake", Level::V4, true, false),
    ("rocketlake", Level::V4, true, false),
    ("sapphirerapids", Level::V4, true, true),
    ("emeraldrapids", Level::V4, true, true),
    ("graniterapids", Level::V4, true, true),
    ("znver4", Level::V4, true, true),
    ("znver5", Level::V4, true, true),
];

/// A processor as the code generator sees it.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) target: Target,
    /// Features beyond those the name implies, as LLVM writes them.
    pub(crate) features: String,
    /// Whether it converts 16-bit floats.
    pub(crate) f16c: bool,
}

/// The names that [`target`] takes.
pub fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once("native").chain(NAMED.iter().map(|(name, ..)| *name))
}

/// What schedules may ask about the processor of that name; `native` is this one.
pub fn target(name: &str) -> Result<Target, Error> {
    Machine::named(name).map(|machine| machine.target)
}

impl Machine {
    pub(crate) fn named(name: &str) -> Result<Self, Error> {
        if name == "native" {
            return Self::native();
        }
        let found = NAMED.iter().find(|(known, ..)| *known == name);
        let Some((name, level, vnni, bf16)) = found else {
            let known = names().collect::<Vec<_>>().join(", ");
            return Err(Error::Cpu { name: name.to_string(), known });
        };
        let target = Target { vnni: *vnni, bf16: *bf16, ..Target::of_level(name, *level) };
        Ok(Self { f16c: *level >= Level::V3, target, features: String::new() })
    }

    fn native() -> Result<Self, Error> {
        let text = |text: inkwell::support::LLVMString| text.to_string_lossy().into_owned();
        let cpu = text(TargetMachine::get_host_cpu_name());
        let features = text(TargetMachine::get_host_cpu_features());
        let has = |names: &[&str]| {
            names.iter().all(|name| features.split(',').any(|f| f.strip_prefix('+') == Some(name)))
        };
        let level = if has(&["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"]) {
            Level::V4
        } else if has(&["avx2", "fma", "f16c", "bmi2"]) {
            Level::V3
        } else if has(&["sse4.2", "popcnt"]) {
            Level::V2
        } else {
            Level::V1
        };
        let (l1, l2, l3) = caches();
        let usual = Target::of_level(&cpu, level);
        let target = Target {
            vnni: match level {
                Level::V4 => has(&["avx512vnni"]),
                Level::V3 => has(&["avxvnni"]),
                _ => false,
            },
            bf16: level == Level::V4 && has(&["avx512bf16"]),
            l1: l1.unwrap_or(usual.l1),
            l2: l2.unwrap_or(usual.l2),
            l3: l3.unwrap_or(usual.l3),
            ..usual
        };
        Ok(Self { target, f16c: has(&["f16c"]), features })
    }

    /// Tells LLVM which processor a function is for.
    pub(crate) fn mark(&self, context: &Context, function: FunctionValue<'_>) {
        let add = |attribute| function.add_attribute(AttributeLoc::Function, attribute);
        add(context.create_string_attribute("target-cpu", &self.target.cpu));
        if !self.features.is_empty() {
            add(context.create_string_attribute("target-features", &self.features));
        }
        if self.target.level == Level::V4 {
            add(context.create_string_attribute("prefer-vector-width", "512"));
        }
        add(context.create_enum_attribute(Attribute::get_named_enum_kind_id("nounwind"), 0));
    }

    /// LLVM's code generator for it.
    pub(crate) fn code_generator(&self, level: OptLevel) -> Result<TargetMachine, Error> {
        initialize();
        let triple = TargetTriple::create(TRIPLE);
        let target = LlvmTarget::from_triple(&triple).map_err(|e| Error::Llvm(e.to_string()))?;
        let level = match level {
            OptLevel::O0 => OptimizationLevel::None,
            OptLevel::O1 => OptimizationLevel::Less,
            OptLevel::O2 => OptimizationLevel::Default,
            OptLevel::O3 => OptimizationLevel::Aggressive,
        };
        let (cpu, features) = (&self.target.cpu, &self.features);
        target
            .create_target_machine(&triple, cpu, features, level, RelocMode::PIC, CodeModel::Default)
            .ok_or_else(|| Error::Llvm(format!("no code generator for `{cpu}`")))
    }
}

fn initialize() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| LlvmTarget::initialize_x86(&InitializationConfig::default()));
}

/// Bytes of the data caches of this processor: first level, second level, last level.
#[cfg(target_arch = "x86_64")]
fn caches() -> (Option<u64>, Option<u64>, Option<u64>) {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    let amd = __cpuid(0).ebx == u32::from_le_bytes(*b"Auth");
    let leaf = if amd { 0x8000_001d } else { 4 };
    let mut sizes = [None; 3];
    if __cpuid(leaf & 0x8000_0000).eax < leaf {
        return (None, None, None);
    }
    for cache in (0..8).map(|number| __cpuid_count(leaf, number)) {
        let (kind, level) = (cache.eax & 31, (cache.eax >> 5 & 7) as usize);
        // Kind 2 holds instructions only, kind 0 ends the list.
        if kind == 0 {
            break;
        }
        let part = |shift: u32, bits: u32| u64::from(cache.ebx >> shift & ((1 << bits) - 1)) + 1;
        let bytes = part(22, 10) * part(12, 10) * part(0, 12) * (u64::from(cache.ecx) + 1);
        if let (1 | 3, Some(size)) = (kind, level.checked_sub(1).and_then(|l| sizes.get_mut(l))) {
            *size = Some(bytes);
        }
    }
    (sizes[0], sizes[1], sizes[2])
}

#[cfg(not(target_arch = "x86_64"))]
fn caches() -> (Option<u64>, Option<u64>, Option<u64>) {
    (None, None, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_have_names() {
        assert_eq!(target("x86-64-v3").unwrap().lanes(weft_ir::DType::F32), 8);
        assert!(target("znver4").unwrap().vnni);
        assert!(target("pentium").is_err());
    }

    #[test]
    fn this_processor_has_caches() {
        let native = target("native").unwrap();
        assert!(native.l1 >= 8 << 10 && native.l1 < native.l2, "{native:?}");
    }
}
