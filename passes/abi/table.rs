//! The structs that cross the boundary, field by field those of `include/weft_plugin.h`.
use std::ffi::c_void;
use weft_passes::PassKind;

/// Raised when a struct below changes in any way but growing at its end.
pub const ABI_VERSION: u32 = 1;
/// The `1` at the head of every written module.
pub const FORMAT: u32 = 1;
/// The one symbol a plugin exports.
pub const SYMBOL: &str = "weft_plugin_table";
/// What [`SYMBOL`] is.
pub type Entry = unsafe extern "C" fn() -> *const PluginTable;

/// Some bytes, usually UTF-8 text.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// The first byte; null only where there is nothing.
    pub data: *const u8,
    /// How many there are.
    pub length: usize,
}

impl Text {
    /// Nothing.
    pub const NONE: Text = Text { data: std::ptr::null(), length: 0 };

    /// Lends bytes for as long as the receiver may look at them.
    pub fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), length: bytes.len() }
    }

    /// The bytes; `None` if there is nothing, which is not the same as no bytes.
    ///
    /// # Safety
    /// Unless `data` is null, `length` bytes lie there and stay as they are during `'a`.
    pub unsafe fn bytes<'a>(self) -> Option<&'a [u8]> {
        // SAFETY: the caller's promise.
        (!self.data.is_null()).then(|| unsafe { std::slice::from_raw_parts(self.data, self.length) })
    }

    /// The text; empty if there is nothing.
    ///
    /// # Safety
    /// As for [`Text::bytes`].
    pub unsafe fn read<'a>(self) -> Result<&'a str, std::str::Utf8Error> {
        // SAFETY: the caller's promise.
        std::str::from_utf8(unsafe { self.bytes() }.unwrap_or_default())
    }
}

/// An option that a pass takes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct OptionEntry {
    /// Its name.
    pub name: Text,
    /// What it is when it is not given.
    pub default_value: Text,
    /// One sentence.
    pub help: Text,
}

/// An option as it is for one call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name.
    pub name: Text,
    /// Its value.
    pub value: Text,
}

/// What the host lends to a pass for one call. The header says what each callback does.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the header documents the fields, and is the one place to do so")]
pub struct Call {
    pub size: usize,
    pub host: *mut c_void,
    pub module: Text,
    pub settings: *const Setting,
    pub setting_count: usize,
    pub rewrites_left: u64,
    pub answer: unsafe extern "C" fn(host: *mut c_void, module: Text),
    pub fail: unsafe extern "C" fn(host: *mut c_void, message: Text),
    pub rewrote: unsafe extern "C" fn(host: *mut c_void, at: Text),
    pub declined: unsafe extern "C" fn(host: *mut c_void, at: Text, why: Text),
    pub weight: unsafe extern "C" fn(host: *mut c_void, digest: *const u8) -> Text,
    pub add_weight: unsafe extern "C" fn(host: *mut c_void, ty: Text, bytes: Text, digest: *mut u8) -> i32,
    pub operators: Text,
}

/// A function of a pass: its data and what the host lends; gives a [`Status`].
pub type Run = unsafe extern "C" fn(data: *const c_void, call: *const Call) -> i32;

/// A pass.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the header documents the fields, and is the one place to do so")]
pub struct PassEntry {
    pub name: Text,
    pub summary: Text,
    pub explanation: Text,
    pub kind: u32,
    pub first_stage: u32,
    pub last_stage: u32,
    pub options: *const OptionEntry,
    pub option_count: usize,
    pub check: Option<Run>,
    pub run: Option<Run>,
    pub data: *const c_void,
}

/// A pipeline with a name.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the header documents the fields, and is the one place to do so")]
pub struct PipelineEntry {
    pub name: Text,
    pub summary: Text,
    pub steps: Text,
}

/// Rules as text.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the header documents the fields, and is the one place to do so")]
pub struct RulesEntry {
    pub family: Text,
    pub text: Text,
}

/// Who a plugin is and what it adds.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the header documents the fields, and is the one place to do so")]
pub struct PluginTable {
    pub abi: u32,
    pub format: u32,
    pub size: usize,
    pub fault: Text,
    pub name: Text,
    pub version: Text,
    pub summary: Text,
    pub passes: *const PassEntry,
    pub pass_count: usize,
    pub pipelines: *const PipelineEntry,
    pub pipeline_count: usize,
    pub operators: Text,
    pub rules: *const RulesEntry,
    pub rules_count: usize,
}

// SAFETY: a table and all that it points to stay as they are until the process ends.
unsafe impl Send for PluginTable {}
// SAFETY: as above.
unsafe impl Sync for PluginTable {}

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing.
    Unchanged = 0,
    /// It rewrote the module.
    Changed = 1,
    /// It could not.
    Failed = 2,
}

impl Status {
    /// The status of that number.
    pub fn of(number: i32) -> Option<Self> {
        [Self::Unchanged, Self::Changed, Self::Failed].into_iter().find(|status| *status as i32 == number)
    }
}

/// The kinds of passes, by number.
pub const KINDS: [PassKind; 3] = [PassKind::Required, PassKind::Exact, PassKind::Lossy];
