//! The built-in passes, one file each, and the pipelines made of them.
#![forbid(unsafe_code)]

mod cancel_transposes;
mod canonicalize;
mod capture_constants;
mod channels_last;
mod choose;
mod common_subexpressions;
mod dead_code;
pub mod families;
mod fold_batch_norm;
mod fold_constants;
mod fold_pads;
mod fold_scale_and_bias;
mod fold_weight_expressions;
mod forms;
mod identities;
mod inline_constant_if;
mod merge_adapters;
mod merge_experts;
mod merge_reshapes;
mod merge_slices;
mod orthogonalize;
pub mod pipelines;
mod propagate_shapes;
mod quantize_weights;
mod recognise_attention;
mod recognise_gelu;
mod recognise_group_norm;
mod recognise_hard_sigmoid;
mod recognise_hard_swish;
mod recognise_layer_norm;
mod recognise_rms_norm;
mod recognise_silu;
mod rewrite;
mod round_weights;
mod saturate;
mod sink_transposes;
mod sparsify_activations;
mod split_slices;
mod stack_rows;
mod transpose_codes;
mod unpack_matmul_n_bits;

use weft_passes::{Plugin, PluginInfo, RegisterError, Registrar};

weft_passes::passes! {
    cancel_transposes
    canonicalize
    capture_constants
    channels_last
    choose
    common_subexpressions
    dead_code
    fold_batch_norm
    fold_constants
    fold_pads
    fold_scale_and_bias
    fold_weight_expressions
    identities
    inline_constant_if
    merge_adapters
    merge_experts
    merge_reshapes
    merge_slices
    orthogonalize
    propagate_shapes
    quantize_weights
    recognise_attention
    recognise_gelu
    recognise_group_norm
    recognise_hard_sigmoid
    recognise_hard_swish
    recognise_layer_norm
    recognise_rms_norm
    recognise_silu
    rewrite
    round_weights
    saturate
    sink_transposes
    sparsify_activations
    split_slices
    stack_rows
    transpose_codes
    unpack_matmul_n_bits
}

/// Everything that weft comes with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Library;

impl Plugin for Library {
    fn info(&self) -> PluginInfo {
        let version = env!("CARGO_PKG_VERSION");
        PluginInfo { name: "weft", version, summary: "what weft comes with" }
    }

    fn register(&self, registrar: &mut Registrar) -> Result<(), RegisterError> {
        families::register(registrar);
        registrar.passes(PASSES);
        pipelines::ALL.iter().for_each(|pipeline| registrar.pipeline(*pipeline));
        Ok(())
    }
}
