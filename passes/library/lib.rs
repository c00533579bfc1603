//! The built-in passes, one file each, and the pipelines made of them.
#![forbid(unsafe_code)]

mod cancel_transposes;
mod canonicalize;
mod capture_constants;
mod channels_last;
mod common_subexpressions;
mod dead_code;
pub mod families;
mod fold_batch_norm;
mod fold_constants;
mod fold_scale_and_bias;
mod identities;
mod inline_constant_if;
mod merge_reshapes;
pub mod pipelines;
mod propagate_shapes;
mod recognise_attention;
mod recognise_gelu;
mod recognise_group_norm;
mod recognise_hard_sigmoid;
mod recognise_hard_swish;
mod recognise_layer_norm;
mod recognise_rms_norm;
mod recognise_silu;
mod rewrite;
mod saturate;
mod sink_transposes;

use weft_passes::{PassInfo, RegisterError, Registry};

macro_rules! register {
    ($($file:ident)*) => {
        /// Every built-in pass, by name.
        pub const PASSES: &[PassInfo] = &[$($file::INFO,)*];
        /// The files of the passes, in the same order.
        const FILES: &[&str] = &[$(include_str!(concat!(stringify!($file), ".rs")),)*];
    };
}
register! {
    cancel_transposes
    canonicalize
    capture_constants
    channels_last
    common_subexpressions
    dead_code
    fold_batch_norm
    fold_constants
    fold_scale_and_bias
    identities
    inline_constant_if
    merge_reshapes
    propagate_shapes
    recognise_attention
    recognise_gelu
    recognise_group_norm
    recognise_hard_sigmoid
    recognise_hard_swish
    recognise_layer_norm
    recognise_rms_norm
    recognise_silu
    rewrite
    saturate
    sink_transposes
}

/// What the file of a built-in pass says at its top: what it does, before and after, and what it
/// leaves alone.
pub fn explanation(pass: &str) -> Option<String> {
    let index = PASSES.iter().position(|info| info.name == pass)?;
    let lines = FILES.get(index)?.lines().map_while(|line| line.strip_prefix("//!"));
    Some(lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect())
}

/// Adds every built-in rule, pass and pipeline.
pub fn register(registry: &mut Registry) -> Result<(), RegisterError> {
    families::register(registry)?;
    PASSES.iter().try_for_each(|pass| registry.add(*pass))?;
    pipelines::ALL.iter().try_for_each(|pipeline| registry.add_pipeline(*pipeline))
}
