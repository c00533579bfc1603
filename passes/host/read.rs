//! What a table says, as passes and pipelines. The table stays as it is until the process ends, so
//! its texts are lent for as long.
use crate::pass::LoadedPass;
use std::path::Path;
use weft_abi::{KINDS, OptionEntry, PassEntry, PipelineEntry, RulesEntry, Text};
use weft_ir::Stage;
use weft_passes::rule::RuleSource;
use weft_passes::{Item, OptionInfo, Options, PassInfo, PipelineInfo};

/// # Safety
/// The text, if there is one, stays as it is until the process ends.
pub(crate) unsafe fn text(text: Text, what: &str) -> Result<&'static str, String> {
    // SAFETY: the caller's promise.
    unsafe { text.read() }.map_err(|error| format!("its {what} is not UTF-8: {error}"))
}

/// # Safety
/// Unless `first` is null, so many stand there until the process ends.
pub(crate) unsafe fn slice<T>(first: *const T, count: usize) -> &'static [T] {
    // SAFETY: the caller's promise.
    if first.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(first, count) } }
}

/// # Safety
/// What the entry points to is there until the process ends.
pub(crate) unsafe fn pass(entry: &'static PassEntry) -> Result<Item, String> {
    // SAFETY: the caller's promise, here and below.
    let name = unsafe { text(entry.name, "pass's name") }?;
    let wrong = |what: &str, found: u32| format!("pass `{name}` has {what} {found}, expected 0, 1 or 2");
    let kind = KINDS.get(entry.kind as usize).ok_or_else(|| wrong("kind", entry.kind))?;
    let stage = |number: u32| Stage::ALL.get(number as usize).copied().ok_or_else(|| wrong("stage", number));
    let accepts = (stage(entry.first_stage)?, stage(entry.last_stage)?);
    let run = entry.run.ok_or_else(|| format!("pass `{name}` has no function `run`"))?;
    let options = unsafe { slice(entry.options, entry.option_count) };
    let options: Vec<OptionInfo> = options.iter().map(|o| unsafe { option(o) }).collect::<Result<_, _>>()?;
    let loaded = LoadedPass::new(run, entry.check, entry.data);
    let build = move |options: &Options| loaded.clone().built(options);
    let info = PassInfo {
        name,
        summary: unsafe { text(entry.summary, "pass's summary") }?,
        options: options.leak(),
        kind: *kind,
        accepts,
        build: Box::leak(Box::new(build)),
    };
    let explanation = unsafe { text(entry.explanation, "pass's explanation") }?;
    Ok(Item::Pass(info, explanation.to_string()))
}

/// # Safety
/// As for [`pass`].
unsafe fn option(entry: &OptionEntry) -> Result<OptionInfo, String> {
    // SAFETY: the caller's promise.
    unsafe {
        Ok(OptionInfo {
            name: text(entry.name, "option's name")?,
            default: text(entry.default_value, "option's default")?,
            help: text(entry.help, "option's help")?,
        })
    }
}

/// # Safety
/// As for [`pass`].
pub(crate) unsafe fn pipeline(entry: &PipelineEntry) -> Result<Item, String> {
    // SAFETY: the caller's promise.
    let (name, summary, steps) = unsafe {
        (
            text(entry.name, "pipeline's name")?,
            text(entry.summary, "pipeline's summary")?,
            text(entry.steps, "pipeline's steps")?,
        )
    };
    Ok(Item::Pipeline(PipelineInfo { name, summary, steps: vec![steps].leak() }))
}

/// # Safety
/// As for [`pass`].
pub(crate) unsafe fn rules(entry: &RulesEntry, file: &Path) -> Result<Item, String> {
    // SAFETY: the caller's promise.
    let (family, text) = unsafe { (text(entry.family, "family of rules")?, text(entry.text, "rules")?) };
    let (file, family, text) =
        (format!("{} `{family}`", file.display()), family.to_string(), text.to_string());
    Ok(Item::Rules(RuleSource { file, family, text }))
}
