//! A rounded matrix, and its place in the graph.
use super::{Codes, Halves};
use std::fmt;
use weft_ir::{Tensor, TensorType, Value};
use weft_passes::{Declined, Linear, PassError, Rewriter};

/// What a matrix of `f32`, inputs by outputs, is rounded to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Coded {
    /// Codes of few bits, with scales.
    Codes(Codes),
    /// Numbers of 16 bits.
    Halves(Halves),
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Coded::Codes(codes) => write!(f, "{codes}"),
            Coded::Halves(halves) => write!(f, "{halves}"),
        }
    }
}

impl Coded {
    /// What it is, by content.
    pub(super) fn described(&self) -> String {
        match self {
            Coded::Codes(codes) => codes.described(),
            Coded::Halves(halves) => halves.described(),
        }
    }

    /// The matrix that it stands for.
    pub(crate) fn matrix(&self) -> Result<Tensor, PassError> {
        match self {
            Coded::Codes(codes) => codes.matrix(),
            Coded::Halves(halves) => halves.matrix(),
        }
    }

    /// The types of all that is read for the matrix.
    pub(crate) fn types(&self) -> Vec<TensorType> {
        match self {
            Coded::Codes(codes) => codes.types(),
            Coded::Halves(halves) => vec![halves.ty()],
        }
    }

    /// Adds what gives the matrix back.
    pub(crate) fn add(&self, g: &mut Rewriter<'_>) -> Result<Value, Declined> {
        match self {
            Coded::Codes(codes) => codes.add(g),
            Coded::Halves(halves) => halves.add(g),
        }
    }

    /// Adds what gives the matrix of a layer back in a form that is not taken: of halves without their numbers,
    /// which would be as many as those of half the model.
    pub(crate) fn add_untaken(&self, g: &mut Rewriter<'_>, layer: &Linear) -> Result<Value, Declined> {
        match self {
            Coded::Codes(codes) => codes.add(g),
            Coded::Halves(halves) => halves.add_untaken(g, layer),
        }
    }

    /// Gives the layer the matrix, and another input if there is one.
    pub(crate) fn put(
        &self,
        g: &mut Rewriter<'_>,
        layer: &Linear,
        input: Option<Value>,
    ) -> Result<(), Declined> {
        let matrix = self.add(g)?;
        let mut operands = g.operands(layer.node);
        operands[0] = input.or(operands[0]);
        operands[1] = Some(matrix);
        g.set_operands(layer.node, operands);
        if layer.turned {
            g.set_attr(layer.node, "transB", None);
        }
        Ok(())
    }
}
