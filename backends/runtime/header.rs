//! The C header of an artifact.

/// The template of `STEM.h`: `@STEM@` stands for the model's name as a C identifier, `@ABI@` for
/// [`crate::abi::ABI_VERSION`].
pub const TEMPLATE: &str = include_str!("header.h.in");
