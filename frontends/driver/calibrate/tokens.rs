//! A text of token ids for a language model.
//!
//! Ids go into the input named `input_ids`, or the only integer matrix among the inputs. The other
//! inputs are told by name and type: `attention_mask` is all ones, `position_ids` counts from 0,
//! `token_type_ids` is zero, a `past` of floats is empty, or as long as the model fixes and zero, and
//! `use_cache_branch` is false. Anything else is refused. Logits are the output named `logits`, or
//! the only output of floats with three axes; without one there is no perplexity.
use super::Input;
use crate::error::Error;
use crate::ports::{Port, Ports};
use crate::tensors::read_tensor;
use std::path::Path;
use std::sync::Arc;
use weft_ir::types::Kind;
use weft_ir::{DType, Tensor};
use weft_passes::{TextPorts, filled, integers};

/// How long windows of a text are that has only one axis and goes into a model of any length.
const WINDOW: usize = 512;

/// The inputs that a file of token ids stands for, one a window.
pub(super) fn windows(path: &Path, ports: &Ports) -> Result<(Vec<Input>, Option<TextPorts>), Error> {
    let failed = |reason: String| Error::TensorFile { file: path.to_path_buf(), reason };
    let ids = ids_port(&ports.inputs).ok_or_else(|| {
        failed("a file of token ids needs a model with an integer input `input_ids` of two axes".to_string())
    })?;
    let fixed = ports.inputs[ids].ty.dims.as_ref().and_then(|dims| dims.get(1)?.as_fixed());
    let length = fixed.and_then(|n| usize::try_from(n).ok()).unwrap_or(WINDOW);
    let rows = rows(path, length).map_err(|error| match error {
        Wrong::File(error) => error,
        Wrong::Content(reason) => failed(reason),
    })?;
    let input = |row: &Vec<i64>| {
        let tensors = ports.inputs.iter().enumerate().map(|(at, port)| {
            let made = if at == ids {
                integers(port.ty.dtype, &[1, row.len() as u64], row)
            } else {
                companion(port, row.len())
            };
            made.map(Arc::new).ok_or_else(|| {
                failed(format!("a text says nothing of input `{port}`; give an `.npz` with all inputs"))
            })
        });
        Ok(Input::Held(tensors.collect::<Result<_, Error>>()?))
    };
    let inputs = rows.iter().map(input).collect::<Result<_, Error>>()?;
    let logits = logits_port(&ports.outputs);
    Ok((inputs, logits.map(|logits| TextPorts { ids, logits })))
}

/// The place of the port of that name, or of the only one that could be it.
fn place(ports: &[Port], name: &str, could: &dyn Fn(&Port) -> bool) -> Option<usize> {
    let all = || ports.iter().enumerate().filter(|(_, port)| could(port));
    let named = all().find(|(_, port)| port.name == name).map(|(at, _)| at);
    let only = || match all().map(|(at, _)| at).collect::<Vec<_>>()[..] {
        [only] => Some(only),
        _ => None,
    };
    named.or_else(only)
}

fn ids_port(inputs: &[Port]) -> Option<usize> {
    place(inputs, "input_ids", &|port| {
        port.ty.dtype.is_int() && port.ty.rank() == Some(2) && companion(port, 1).is_none()
    })
}

fn logits_port(outputs: &[Port]) -> Option<usize> {
    place(outputs, "logits", &|port| port.ty.dtype == DType::F32 && port.ty.rank() == Some(3))
}

/// What goes into an input beside so many token ids; `None` if its name and type do not tell.
fn companion(port: &Port, length: usize) -> Option<Tensor> {
    let (name, dtype, length) = (port.name.as_str(), port.ty.dtype, length as i64);
    let row: Vec<i64> = match name.rsplit('.').next()? {
        "attention_mask" => vec![1; usize::try_from(length).ok()?],
        "position_ids" => (0..length).collect(),
        "token_type_ids" => vec![0; usize::try_from(length).ok()?],
        "use_cache_branch" => return integers(dtype, &[1], &[0]),
        _ if name.starts_with("past") && dtype.is_float() => return past(port),
        _ => return None,
    };
    let dims = [1, length as u64];
    match dtype.kind() {
        Kind::Float => weft_passes::floats(dtype, &dims, &row.iter().map(|n| *n as f64).collect::<Vec<_>>()),
        _ => integers(dtype, &dims, &row),
    }
}

/// Nothing remembered: the first extent is the batch, every other one that is not fixed is empty.
fn past(port: &Port) -> Option<Tensor> {
    let dims = port.ty.dims.as_ref()?.iter().enumerate();
    let extent = |(axis, dim): (usize, &weft_ir::Dim)| match dim.as_fixed() {
        Some(fixed) => u64::try_from(fixed).ok(),
        None => Some(u64::from(axis == 0)),
    };
    filled(port.ty.dtype, &dims.map(extent).collect::<Option<Vec<_>>>()?, 0.0)
}

/// Why a file holds no text.
enum Wrong {
    File(Error),
    Content(String),
}

/// The windows of a text.
fn rows(path: &Path, length: usize) -> Result<Vec<Vec<i64>>, Wrong> {
    let (ids, width) = match path.extension().is_some_and(|e| e == "txt") {
        true => (listed(path)?, None),
        false => {
            let tensor = read_tensor(path).map_err(Wrong::File)?;
            let found = format!("expected token ids, found {}{:?}", tensor.dtype(), tensor.dims());
            let width = match tensor.dims() {
                [_] => None,
                [_, width] => usize::try_from(*width).ok(),
                _ => return Err(Wrong::Content(found)),
            };
            (tensor.to_i64s().ok_or(Wrong::Content(found))?, width)
        }
    };
    let width = width.unwrap_or(length).max(1);
    let mut rows: Vec<Vec<i64>> = ids.chunks(width).map(<[i64]>::to_vec).collect();
    // A shorter rest would count as much as a whole window.
    if rows.len() > 1 && rows.last().is_some_and(|row| row.len() < width) {
        rows.pop();
    }
    Ok(rows)
}

/// Numbers with anything between them that is not one.
fn listed(path: &Path) -> Result<Vec<i64>, Wrong> {
    let failed = |error| weft_frontend::SourceError::Io { file: path.display().to_string(), error };
    let text = std::fs::read_to_string(path).map_err(|error| Wrong::File(Error::Source(failed(error))))?;
    let parts = text.split(|c: char| c.is_whitespace() || c == ',').filter(|part| !part.is_empty());
    let number = |part: &str| part.parse().map_err(|_| Wrong::Content(format!("`{part}` is no token id")));
    parts.map(number).collect()
}
