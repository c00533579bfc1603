//! How errors are shown, and the exit code they mean.
use crate::args::Extensions;
use crate::compiling::quoted;
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode, SourceOffset,
};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use weft::{Error, Failed};
use weft_ir::Stage;
use weft_passes::{PassError, RunError};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The work failed, or cannot be done as asked.
    Work(Error),
    /// Flags that do not go together.
    Misuse(String),
    /// What failed has been told already.
    Told(u8),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Work(error)
    }
}

impl Failure {
    /// Shows the error and gives the exit code: 1 if the work failed, 2 if it was asked for wrongly.
    /// `extensions` are what the command was given to have.
    pub(crate) fn report(&self, extensions: &Extensions) -> ExitCode {
        let (shown, code) = match self {
            Failure::Told(code) => return ExitCode::from(*code),
            Failure::Misuse(message) => (Shown::plain(message.clone(), Some("`--help` lists the flags")), 2),
            Failure::Work(error) => (Shown::of(error, extensions), if error.is_misuse() { 2 } else { 1 }),
        };
        shown.print();
        ExitCode::from(code)
    }
}

/// An error as miette wants it.
#[derive(Debug)]
struct Shown {
    message: String,
    advice: Option<String>,
    place: Option<(NamedSource<String>, LabeledSpan)>,
}

impl Shown {
    fn plain(message: String, advice: Option<&str>) -> Self {
        Self { message, advice: advice.map(str::to_string), place: None }
    }

    fn of(error: &Error, extensions: &Extensions) -> Self {
        let mut shown = Self::plain(error.to_string(), error.advice());
        if let Error::Passes(failed) = error {
            shown.advice = reproducer(failed, extensions);
        }
        let Error::Text { file, text, error } = error else { return shown };
        let at = SourceOffset::from_location(text, error.line, error.column);
        let label = LabeledSpan::new_with_span(Some(error.message.clone()), (at.offset(), 1));
        let name = file.display().to_string();
        Self { place: Some((NamedSource::new(name, text.clone()), label)), ..shown }
    }

    fn print(&self) {
        let terminal = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let theme = if terminal { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
        let handler = GraphicalReportHandler::new_themed(theme).with_wrap_lines(false).with_links(false);
        let mut text = String::new();
        if self.place.is_none() || handler.render_report(&mut text, self).is_err() {
            text = self.lines();
        }
        drop(write!(io::stderr(), "{text}"));
    }

    /// Without a piece of the source to show.
    fn lines(&self) -> String {
        let advice = self.advice.as_ref().map(|advice| format!("help: {advice}\n")).unwrap_or_default();
        format!("error: {}\n{advice}", self.message)
    }
}

/// Keeps the module that a pass failed on, and says how to see it fail again.
fn reproducer(failed: &Failed, extensions: &Extensions) -> Option<String> {
    if let RunError::Stage { accepts: (Stage::Canonical, _), found: Stage::Imported, .. } = failed.error {
        return Some("a pipeline for a model as it was read begins with `O0`".to_string());
    }
    if let RunError::Pass { error: PassError::NotGiven(_), .. } = failed.error {
        return None;
    }
    let folder = tempfile::Builder::new().prefix("weft-failed-").tempdir().ok()?;
    let file = failed.write(folder.path()).ok()?;
    // It is for the user to look at and to remove.
    drop(folder.keep());
    let (held, pipeline, with) = (file.display(), quoted(&failed.pipeline), extensions.flags());
    let file = quoted(&held.to_string());
    Some(format!(
        "`{held}` holds the module before the pass\n      \
         `weft opt {file} --pipeline {pipeline}{with} --verify-each` fails again\n      \
         `weft reduce {file} --pipeline {pipeline}{with} -o small.weft` makes it smaller"
    ))
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)
    }
}

impl std::error::Error for Shown {}

impl Diagnostic for Shown {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.advice.as_ref().map(|advice| Box::new(advice) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|(source, _)| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.place.as_ref().map(|(_, label)| Box::new(std::iter::once(label.clone())) as Box<_>)
    }
}
