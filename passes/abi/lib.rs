//! The boundary between weft and a plugin library: a C table, across which only bytes go.
//!
//! Plugins in C include `include/weft_plugin.h`, which is the reference. A plugin in Rust is a
//! [`weft_passes::Plugin`] and one line:
//!
//! ```text
//! weft_abi::export!(Mine);
//! ```
//!
//! With `crate-type = ["cdylib", "rlib"]` the same source is a library for `--plugin` and a crate
//! for a driver of one's own. No Rust type, allocator or panic crosses: the two sides may be built
//! by different compilers. A module crosses in its written form, a weight by its digest and, where
//! it is asked for, by its bytes.
//!
//! A pass in a library is lent no evaluator and no word of the backend.
#![expect(unsafe_code, reason = "the boundary is made of raw pointers")]

mod collect;
mod foreign;
mod lent;
mod panics;
mod serve;
mod table;

pub use collect::table;
pub use foreign::{CFunction, CTensor, Compiled};
pub use table::{
    ABI_VERSION, Call, Entry, FORMAT, KINDS, OptionEntry, PassEntry, PipelineEntry, PluginTable, RulesEntry,
    Run, SYMBOL, Setting, Status, Text,
};

/// Makes a plugin's crate a plugin library: `weft_abi::export!(Mine);` for a constant that is a
/// [`weft_passes::Plugin`].
///
/// A program can hold one exported table, so a crate that is also linked into programs beside
/// other plugins puts the line behind a feature that they leave out.
#[macro_export]
macro_rules! export {
    ($plugin:expr) => {
        const _: () = {
            #[unsafe(no_mangle)]
            #[expect(unsafe_code, reason = "the one symbol of a plugin library")]
            extern "C" fn weft_plugin_table() -> *const $crate::PluginTable {
                static PLUGIN: &dyn ::weft_passes::Plugin = &$plugin;
                static TABLE: ::std::sync::OnceLock<&'static $crate::PluginTable> =
                    ::std::sync::OnceLock::new();
                *TABLE.get_or_init(|| $crate::table(PLUGIN))
            }
        };
    };
}
