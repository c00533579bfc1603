//! `Measure`: what flows through a module on calibration data.
use crate::findings::{Findings, Forgetful};
use crate::pass::PassError;
use std::collections::BTreeSet;
use std::sync::Arc;
use weft_ir::{Module, Tensor, Value};

/// Runs modules on calibration data; lent by the root, which compiles or interprets them.
pub trait Measure: Send + Sync {
    /// What the data are, for reports: `text.npz: 12 inputs`.
    fn describe(&self) -> String;

    /// Says what is being done from here on, to whoever watches.
    fn tell(&self, _what: &str) {}

    /// Runs `module` on every calibration input, and lends `visit` the values of each of `groups`, in
    /// the order of the group, once an input; those of one group in the order of the inputs. Groups
    /// are visited as soon as their values are known, so that few are in memory at a time. Values are
    /// of the main graph, inputs among them.
    ///
    /// # Errors
    /// If the module cannot be run, or `visit` gives up.
    fn stream(&self, module: &Module, groups: &[Vec<Value>], visit: &mut Visit<'_>) -> Result<(), PassError>;

    /// Makes ready what [`Measure::stream`] does, to be done often, each time with other numbers for some
    /// constants of the main graph.
    ///
    /// # Errors
    /// If the module cannot be run.
    fn prepare<'m>(
        &'m self,
        module: &Module,
        groups: &[Vec<Value>],
        open: &BTreeSet<Value>,
    ) -> Result<Box<dyn Streamed + 'm>, PassError>;

    /// Makes a module ready to be run on inputs of the pass's own choice; the same again for a module
    /// with the same text.
    ///
    /// # Errors
    /// If it cannot be run.
    fn open(&self, module: &Module) -> Result<Arc<dyn Ready>, PassError>;

    /// A place for tensors outside of memory.
    ///
    /// # Errors
    /// If there is none.
    fn store(&self) -> Result<Box<dyn Store>, PassError>;

    /// What was found out about a module on these data before.
    fn findings(&self, _: &Module) -> Box<dyn Findings> {
        Box::new(Forgetful)
    }

    /// Where token ids go in and logits come out, if the data are a text for a language model.
    fn text(&self) -> Option<TextPorts>;
}

/// Is lent values.
pub type Visit<'v> = dyn FnMut(Tapped, &[Tensor]) -> Result<(), PassError> + 'v;

/// A module that is ready to be run on calibration inputs.
pub trait Streamed {
    /// Runs it on the first `inputs` inputs, or all if there are fewer, as [`Measure::stream`] does, with
    /// other numbers for some of the open constants. What comes before the first of these may be known
    /// from earlier runs.
    ///
    /// # Errors
    /// If a constant does not fit, a run fails, or `visit` gives up.
    fn run(&self, inputs: usize, constants: &dyn Constants, visit: &mut Visit<'_>) -> Result<(), PassError>;
}

/// Other numbers for constants.
pub trait Constants {
    /// Whether a constant has others.
    fn has(&self, constant: Value) -> bool;

    /// Those; asked when they are needed and held no longer.
    ///
    /// # Errors
    /// If they cannot be made.
    fn numbers(&self, constant: Value) -> Result<Tensor, PassError>;
}

/// Constants as they stand.
#[derive(Debug, Clone, Copy, Default)]
pub struct AsTheyStand;

impl Constants for AsTheyStand {
    fn has(&self, _: Value) -> bool {
        false
    }

    fn numbers(&self, _: Value) -> Result<Tensor, PassError> {
        Err(PassError::Failed("a constant stays as it stands".to_string()))
    }
}

/// Which values are lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tapped {
    /// Those of this group.
    pub group: usize,
    /// On this calibration input.
    pub input: usize,
    /// Which is the last one.
    pub last: bool,
}

/// A place for tensors outside of memory.
pub trait Store {
    /// Puts a tensor there; gives its number.
    ///
    /// # Errors
    /// If there is no room.
    fn put(&mut self, tensor: &Tensor) -> Result<usize, PassError>;

    /// The tensor of a number that [`Store::put`] gave.
    ///
    /// # Errors
    /// If it cannot be read any more.
    fn get(&mut self, number: usize) -> Result<Tensor, PassError>;
}

/// A module that is ready to run.
pub trait Ready: Send + Sync {
    /// Its outputs for these inputs, both in its order.
    ///
    /// # Errors
    /// If they do not fit, or the run fails.
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, PassError>;
}

/// The ports of a language model that a text goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPorts {
    /// Which input takes token ids, `[batch, tokens]`.
    pub ids: usize,
    /// Which output gives logits, `[batch, tokens, vocabulary]`: those at a token are of the next one.
    pub logits: usize,
}
