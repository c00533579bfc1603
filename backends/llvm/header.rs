//! The C header that lies beside an artifact.
use crate::abi::ABI_VERSION;

/// The runtime's template.
const TEMPLATE: &str = include_str!("../runtime/header.h.in");

/// The header of a model.
pub(crate) fn text(stem: &str) -> String {
    TEMPLATE.replace("@STEM@", stem).replace("@ABI@", &ABI_VERSION.to_string())
}
