//! The code of operators that plugins bring: what an artifact is linked with, and what it lacks.
use crate::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use weft_kernel::program::{Program, Step};

/// The calls of functions outside weft in a program.
#[derive(Debug)]
pub(crate) struct Foreign<'a>(Vec<Called<'a>>);

#[derive(Debug)]
struct Called<'a> {
    symbol: &'a str,
    op: &'a str,
    at: &'a str,
    code: &'a Path,
}

impl<'a> Foreign<'a> {
    pub(crate) fn of(program: &'a Program) -> Self {
        let mut calls = Vec::new();
        Step::walk(&program.steps, &mut |_, step| {
            if let Step::Foreign { symbol, op, at, code, .. } = step {
                calls.push(Called { symbol, op, at, code });
            }
        });
        Self(calls)
    }

    /// The objects and archives, each once, by absolute path, if all can be read.
    pub(crate) fn code(&self) -> Result<Vec<OsString>, Error> {
        let mut files: Vec<OsString> = Vec::new();
        for called in &self.0 {
            let readable = || {
                let file = std::path::absolute(called.code)?;
                std::fs::File::open(&file).map(|_| file.into_os_string())
            };
            let file = readable().map_err(|source| {
                let (op, at, code, symbol) = called.owned();
                Error::ForeignCode { op, at, code, symbol, source }
            })?;
            if !files.contains(&file) {
                files.push(file);
            }
        }
        Ok(files)
    }

    /// The error that a function is missing, if that is what the linker complains of.
    pub(crate) fn missing(&self, complaint: &str) -> Option<Error> {
        let undefined = complaint.lines().filter(|line| line.contains("undefined"));
        let words = |line: &str, symbol: &str| {
            line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == symbol)
        };
        let lines: Vec<&str> = undefined.collect();
        let called = self.0.iter().find(|called| lines.iter().any(|line| words(line, called.symbol)))?;
        let (op, at, code, symbol) = called.owned();
        Some(Error::ForeignSymbol { op, at, code, symbol })
    }
}

impl Called<'_> {
    fn owned(&self) -> (String, String, PathBuf, String) {
        (self.op.to_string(), self.at.to_string(), self.code.to_path_buf(), self.symbol.to_string())
    }
}
