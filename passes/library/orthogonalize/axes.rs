//! The axes of a stream from place to place, found when their turn comes, as together they may be larger than the
//! model is.
use super::stream::Stream;
use super::{Tell, Whose};
use crate::forms::spread;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_numerics::principal_axes;
use weft_passes::{Declined, Rewriter};

/// Places whose axes are found at once.
const TOGETHER: usize = 8;

/// The axes that a stream is given.
pub(super) struct Axes {
    whose: Whose,
    /// The places whose layers they are for; of a single kind of axes it does not matter which.
    leading: Vec<usize>,
    /// By their place among these; columns are the axes, in those the stream had.
    known: BTreeMap<usize, Arc<Vec<f64>>>,
}

impl Axes {
    /// The same axes at every place.
    pub(super) fn everywhere(matrix: Vec<f64>) -> Self {
        Self { whose: Whose::All, leading: vec![0], known: BTreeMap::from([(0, Arc::new(matrix))]) }
    }

    /// Axes for some places, in the order of the stream.
    pub(super) fn of_places(whose: Whose, leading: Vec<usize>) -> Self {
        Self { whose, leading, known: BTreeMap::new() }
    }

    /// Which of the axes the stream has at a place: those of the next leading place; behind the last one nothing
    /// turns any more.
    pub(super) fn which(&self, place: usize) -> usize {
        self.leading.iter().position(|lead| *lead >= place).unwrap_or(self.leading.len() - 1)
    }

    /// Whether the axes of a place make its own leading layer orthogonal.
    pub(super) fn are_own(&self, place: usize) -> bool {
        self.whose == Whose::Leading && self.leading.contains(&place)
    }

    /// The axes of a place; to be asked in the order of the stream, as those of earlier places are given up.
    pub(super) fn at(
        &mut self,
        g: &Rewriter<'_>,
        (stream, place): (&Stream, usize),
        tell: &Tell<'_>,
    ) -> Result<Arc<Vec<f64>>, Declined> {
        let which = self.which(place);
        self.known.retain(|known, _| *known + 1 >= which);
        if !self.known.contains_key(&which) {
            tell(&format!("orthogonalize, axes {} of {}", which + 1, self.leading.len()));
            let some = &self.leading[which..(which + TOGETHER).min(self.leading.len())];
            let gram = |place: &usize| self.whose.gram(g, &stream.places[*place], stream.width);
            let grams: Vec<Vec<f64>> = some.iter().map(gram).collect::<Result<_, _>>()?;
            let places: Vec<usize> = (0..grams.len()).collect();
            let found = spread(&places, &|at| Ok(Arc::new(principal_axes(&grams[at], stream.width))));
            self.known.extend((which..).zip(found.map_err(|error| Declined::from(error.to_string()))?));
        }
        self.known.get(&which).cloned().ok_or_else(|| "the axes of a place are not known".into())
    }
}
