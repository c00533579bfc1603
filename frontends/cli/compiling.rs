//! From flags to how a model is compiled.
use crate::args::{Compiling, DimArgs};
use crate::failure::Failure;
use std::path::PathBuf;
use weft::{CompileOptions, Dims, Driver, PassOptions, family_of};
use weft_backend::OptLevel;
use weft_passes::VerifyEach;

/// A driver that knows the rules of these files, too.
pub(crate) fn driver_with(rules: &[PathBuf]) -> Result<Driver, Failure> {
    let mut driver = Driver::new()?;
    rules.iter().try_for_each(|file| driver.add_rules(file))?;
    Ok(driver)
}

/// The pass that runs the rules of these files; none without files.
pub(crate) fn rewrite_with(rules: &[PathBuf]) -> Option<String> {
    let families: Vec<String> = rules.iter().map(|file| family_of(file)).collect();
    (!families.is_empty()).then(|| format!("rewrite{{rules=\"{}\"}}", families.join("|")))
}

impl Compiling {
    /// A driver that knows everything the flags name.
    pub(crate) fn driver(&self) -> Result<Driver, Failure> {
        driver_with(&self.rules)
    }

    /// What the driver is asked to do.
    pub(crate) fn options(&self) -> CompileOptions {
        let level = [OptLevel::O0, OptLevel::O1, OptLevel::O2, OptLevel::O3][usize::from(self.level.min(3))];
        let verify_each = if self.verify_each { VerifyEach::Yes } else { VerifyEach::No };
        CompileOptions {
            pipeline: self.passes_as_text(),
            passes: PassOptions { verify_each, ..PassOptions::default() },
            cpu: self.cpu.clone(),
            level,
        }
    }

    /// Single passes run on a graph that is canonical and clean, before layouts are chosen.
    fn passes_as_text(&self) -> String {
        let rules = rewrite_with(&self.rules);
        let passes = rules.iter().chain(&self.passes).map(String::as_str).collect::<Vec<_>>().join(",");
        match (&self.pipeline, passes.is_empty()) {
            (Some(pipeline), true) => pipeline.clone(),
            (Some(pipeline), false) => format!("{pipeline},{passes}"),
            (None, true) => format!("O{}", self.level),
            (None, false) => format!("O{},{passes},O{}", self.level.min(1), self.level),
        }
    }
}

impl DimArgs {
    /// The numbers of symbolic extents; none may be given twice.
    pub(crate) fn dims(&self) -> Result<Dims, Failure> {
        let mut dims = Dims::new();
        for (name, value) in &self.dims {
            if dims.insert(name.clone(), *value).is_some_and(|before| before != *value) {
                return Err(Failure::Misuse(format!("`--dim {name}` is given twice")));
            }
        }
        Ok(dims)
    }
}
