//! The built-in passes, one file each, and the pipelines made of them.
#![forbid(unsafe_code)]

mod cancel_transposes;
mod canonicalize;
mod capture_constants;
mod channels_last;
mod common_subexpressions;
mod dead_code;
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
mod sink_transposes;

use weft_passes::{PassInfo, RegisterError, Registry};

/// Every built-in pass, by name.
pub const PASSES: &[PassInfo] = &[
    cancel_transposes::INFO,
    canonicalize::INFO,
    capture_constants::INFO,
    channels_last::INFO,
    common_subexpressions::INFO,
    dead_code::INFO,
    fold_batch_norm::INFO,
    fold_constants::INFO,
    fold_scale_and_bias::INFO,
    identities::INFO,
    inline_constant_if::INFO,
    merge_reshapes::INFO,
    propagate_shapes::INFO,
    recognise_attention::INFO,
    recognise_gelu::INFO,
    recognise_group_norm::INFO,
    recognise_hard_sigmoid::INFO,
    recognise_hard_swish::INFO,
    recognise_layer_norm::INFO,
    recognise_rms_norm::INFO,
    recognise_silu::INFO,
    sink_transposes::INFO,
];

/// Adds every built-in pass and pipeline.
pub fn register(registry: &mut Registry) -> Result<(), RegisterError> {
    PASSES.iter().try_for_each(|pass| registry.add(*pass))?;
    pipelines::ALL.iter().try_for_each(|pipeline| registry.add_pipeline(*pipeline))
}
