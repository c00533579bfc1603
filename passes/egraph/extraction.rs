//! How the cheapest form is looked for.
use crate::choices::{Choices, Taken};
use std::str::FromStr;

/// How the cheapest form is looked for among those that an e-graph holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extraction {
    /// Class by class, then by moves that pay; quick, and not always the cheapest.
    Greedy,
    /// The cheapest there is, by an integer linear program.
    #[cfg(feature = "ilp")]
    Ilp,
}

impl Extraction {
    /// The choice that is proven to be the cheapest, or the limit that was met, if it is asked for.
    #[cfg(feature = "ilp")]
    pub(crate) fn exact(self, choices: &Choices) -> Option<Result<Taken, String>> {
        (self == Self::Ilp).then(|| crate::exact::extract(choices))
    }

    /// Nothing: what is greedy proves nothing.
    #[cfg(not(feature = "ilp"))]
    pub(crate) fn exact(self, _: &Choices) -> Option<Result<Taken, String>> {
        match self {
            Self::Greedy => None,
        }
    }
}

impl FromStr for Extraction {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "greedy" => Ok(Self::Greedy),
            #[cfg(feature = "ilp")]
            "ilp" => Ok(Self::Ilp),
            #[cfg(not(feature = "ilp"))]
            "ilp" => Err("`extract=ilp` takes a weft that is built with `--features ilp`; \
                          `extract=greedy` is there always"),
            _ => Err("option `extract` takes `greedy` or `ilp`"),
        }
    }
}
