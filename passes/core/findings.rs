//! `Findings`: what passes found out about a module on calibration data, kept from one compilation to the next.
use weft_ir::Tensor;

/// Answers to questions about one module on one set of data.
///
/// A question says in words what is asked, of which values of the module and by which options; whoever keeps the
/// answers adds to it what the module and the data are. An answer must follow from these alone, to the bit.
pub trait Findings {
    /// The answer that was found before.
    fn get(&self, question: &str) -> Option<Vec<Tensor>>;

    /// Keeps an answer, if there is room.
    fn put(&self, question: &str, answer: &[Tensor]);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forgetful;

impl Findings for Forgetful {
    fn get(&self, _: &str) -> Option<Vec<Tensor>> {
        None
    }

    fn put(&self, _: &str, _: &[Tensor]) {}
}
