//! Pure functions on slices of numbers, for passes that change numbers: quantisers, the linear algebra that
//! they need, and the choice among their results. Nothing here knows of graphs.
#![forbid(unsafe_code)]

mod cholesky;
mod gptq;
mod grid;
mod knapsack;
mod quantile;
mod rotation;
mod rtn;
mod window;

pub use cholesky::NotPositive;
pub use gptq::{Compensation, Dampening, gptq};
pub use grid::{Along, Blocks, Grid, Quantised, Zero};
pub use knapsack::{Choice, knapsack, total};
pub use quantile::Quantiles;
pub use rotation::{off_diagonal, principal_axes, product, transposed};
pub use rtn::rtn;
