//! Opening a library and reading its table.
use crate::error::LoadError;
use crate::read::{pass, pipeline, rules, slice, text};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weft_abi::{ABI_VERSION, CFunction, Compiled, Entry, FORMAT, PluginTable, SYMBOL};
use weft_ir::text::parse_operators;
use weft_ir::{ForeignFunction, OpDef};
use weft_passes::{Item, Plugin, PluginInfo, RegisterError, Registrar};

/// A plugin library that was opened and checked.
#[derive(Clone)]
pub struct Library {
    file: PathBuf,
    info: PluginInfo,
    items: Vec<Item>,
}

impl Library {
    /// Opens a library and reads its table. It stays open until the process ends.
    pub fn open(file: &Path) -> Result<Self, LoadError> {
        let library = open(file)?;
        let table = table(&library, file)?;
        // It stays open.
        let library: &'static libloading::Library = Box::leak(Box::new(library));
        handshake(table, file)?;
        // SAFETY: the handshake has shown that the table is laid out as ours.
        let read = unsafe { contents(&*table, library, file) };
        let (info, items) = read.map_err(|reason| LoadError::Table { file: file.to_path_buf(), reason })?;
        Ok(Self { file: file.to_path_buf(), info, items })
    }
}

impl Plugin for Library {
    fn info(&self) -> PluginInfo {
        self.info
    }

    fn register(&self, registrar: &mut Registrar) -> Result<(), RegisterError> {
        self.items.iter().cloned().for_each(|item| registrar.add(item));
        Ok(())
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.file)
    }
}

/// The library in a file.
fn open(file: &Path) -> Result<libloading::Library, LoadError> {
    let failed = |reason: String| LoadError::Open { file: file.to_path_buf(), reason };
    // A name without a folder would be searched for among the system's libraries.
    let absolute = std::path::absolute(file).map_err(|error| failed(error.to_string()))?;
    now(&absolute).map_err(|error| failed(said(&error, &absolute)))
}

/// The table of a library.
fn table(library: &libloading::Library, file: &Path) -> Result<*const PluginTable, LoadError> {
    // SAFETY: a library that exports this name means this function by it; that it is one is its
    // author's word, as with any library.
    let entry = unsafe { library.get::<Entry>(SYMBOL.as_bytes()) };
    let entry = entry.map_err(|_| LoadError::NotAPlugin { file: file.to_path_buf(), symbol: SYMBOL })?;
    // SAFETY: as above.
    Ok(unsafe { entry() })
}

/// Opens a library with everything it needs: one that lacks a symbol is refused now and does not
/// end the process when it gets there.
#[cfg(unix)]
fn now(file: &Path) -> Result<libloading::Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    // SAFETY: to run what the library runs when it is opened is what naming it as a plugin means.
    unsafe { Library::open(Some(file), RTLD_NOW | RTLD_LOCAL) }.map(Into::into)
}

/// Opens a library with everything it needs.
#[cfg(not(unix))]
fn now(file: &Path) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: to run what the library runs when it is opened is what naming it as a plugin means.
    unsafe { libloading::Library::new(file) }
}

/// The system's own words, which the error's text leaves to its source, without the file's name.
fn said(error: &libloading::Error, file: &Path) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let said = source.unwrap_or_else(|| error.to_string());
    said.strip_prefix(&format!("{}: ", file.display())).map_or_else(|| said.clone(), str::to_string)
}

/// Whether both sides mean the same by a table.
fn handshake(table: *const PluginTable, file: &Path) -> Result<(), LoadError> {
    let file = || file.to_path_buf();
    if table.is_null() {
        return Err(LoadError::Table { file: file(), reason: format!("`{SYMBOL}` gives none") });
    }
    // SAFETY: the version comes first in every version.
    let abi = unsafe { (*table).abi };
    if abi != ABI_VERSION {
        let what = "the plugin interface";
        return Err(LoadError::Version { file: file(), what, found: abi, expected: ABI_VERSION });
    }
    // SAFETY: in this version these fields follow.
    let (format, size) = unsafe { ((*table).format, (*table).size) };
    if format != FORMAT {
        let what = "the written form";
        return Err(LoadError::Version { file: file(), what, found: format, expected: FORMAT });
    }
    let expected = size_of::<PluginTable>();
    if size < expected {
        let reason = format!("it is too small: found {size} bytes, expected {expected}");
        return Err(LoadError::Table { file: file(), reason });
    }
    // SAFETY: the table is as large as ours.
    match unsafe { text((*table).fault, "fault") } {
        Ok("") => Ok(()),
        Ok(fault) => Err(LoadError::Fault { file: file(), reason: fault.to_string() }),
        Err(reason) => Err(LoadError::Table { file: file(), reason }),
    }
}

/// # Safety
/// The table is laid out as ours, and what it points to is there.
unsafe fn contents(
    table: &PluginTable,
    library: &'static libloading::Library,
    file: &Path,
) -> Result<(PluginInfo, Vec<Item>), String> {
    // SAFETY: the caller's promise, here and below.
    let (name, version, summary) = unsafe {
        (text(table.name, "name")?, text(table.version, "version")?, text(table.summary, "summary")?)
    };
    if name.is_empty() {
        return Err("the plugin has no name".to_string());
    }
    let passes = unsafe { slice(table.passes, table.pass_count) };
    let pipelines = unsafe { slice(table.pipelines, table.pipeline_count) };
    let passes = passes.iter().map(|entry| unsafe { pass(entry) });
    let pipelines = pipelines.iter().map(|entry| unsafe { pipeline(entry) });
    let operators = unsafe { text(table.operators, "operators") }?;
    let operators = parse_operators(operators).map_err(|error| format!("its operators, line {error}"))?;
    let operators = operators.into_iter().map(|def| placed(def, library, file).map(Item::Operator));
    let sources = unsafe { slice(table.rules, table.rules_count) };
    let sources = sources.iter().map(|entry| unsafe { rules(entry, file) });
    // Everything stands behind what it is made of.
    let items = operators.chain(sources).chain(passes).chain(pipelines);
    let items: Vec<Item> = items.collect::<Result<_, String>>()?;
    Ok((PluginInfo { name, version, summary }, items))
}

/// The operator, with its function in the library and its code beside it, if it has such.
fn placed(def: OpDef, library: &'static libloading::Library, file: &Path) -> Result<OpDef, String> {
    let absolute = std::path::absolute(file).map_err(|error| error.to_string())?;
    let find = |symbol: &str| {
        // SAFETY: the plugin's author says that this function is one of that type and keeps the
        // rules of the header; the library is never closed.
        let found = unsafe { Compiled::new(*library.get::<CFunction>(symbol.as_bytes()).ok()?) };
        Some(Arc::new(found) as Arc<dyn ForeignFunction>)
    };
    def.placed(absolute.parent().unwrap_or(Path::new("")), &find).map_err(|symbol| {
        format!("the operator `{}` is computed by `{symbol}`, which the library does not export", def.name)
    })
}
