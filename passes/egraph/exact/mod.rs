//! Taking one e-node per class so that the whole costs the least there is: an integer linear program.
//!
//! What certainly is or is not taken is left out first (see [`reduce`]); what is left falls apart
//! into pieces that have nothing to do with each other, and each is a program of its own (see
//! [`program`]). A form that would be computed from itself is ruled out when the solver comes up
//! with it. Limits count choices, branches and such forms, never seconds.
mod circle;
mod program;
mod reduce;
#[cfg(test)]
mod tests;

use self::circle::circle;
use self::program::Program;
use self::reduce::Open;
use crate::choices::{Choices, Taken};

/// Choices of one piece that a program may have.
const CHOICES: usize = 4000;

/// Forms that are computed from themselves and may be ruled out.
const RULED_OUT: usize = 400;

/// The cheapest choice there is; or the limit that was met on the way to it.
pub(crate) fn extract(choices: &Choices) -> Result<Taken, String> {
    let open = Open::of(choices);
    let pieces = program::pieces(choices, &open);
    if pieces.iter().any(|piece| piece.choices(&open) > CHOICES) {
        return Err(format!("choices={CHOICES}"));
    }
    let mut taken: Taken = open.options.iter().map(|options| options.first().copied()).collect();
    let mut programs = Vec::new();
    for piece in &pieces {
        let program = Program::new(choices, &open, piece)?;
        program.take(&mut taken);
        programs.push(program);
    }
    for _ in 0..RULED_OUT {
        let Some(circle) = circle(choices, &taken) else { return Ok(taken) };
        let at = pieces.iter().position(|piece| circle.iter().any(|(class, _)| piece.has(*class)));
        let at = at.ok_or("the graph is computed from itself")?;
        programs[at].rule_out(choices, &circle)?;
        programs[at].take(&mut taken);
    }
    Err(format!("circles={RULED_OUT}"))
}
