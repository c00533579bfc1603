//! Turns the residual stream of a decoder into axes along which its layers' weights are orthogonal, so
//! that dropping what counts least there (`sparsify-activations`) costs less.
//!
//! Before: `%n = RMSNormalization(%r, %gain)`, `%k = MatMul(%n, %w)`, `%s = Add(%r, MatMul(%h, %o))`.
//! After: `%n = RMSNormalization(%t, 1.0)`, `%k = MatMul(%n, Q' gain w)`, `%s = Add(MatMul(%t, Q' P),
//! MatMul(%h, o P))`, where `%t` is `%r Q` and `P` belongs to the next normalisation. The embedding
//! becomes `E Q`; the matrix behind the last normalisation is a constant of its own, even where the
//! model shares it with the embedding.
//!
//! Normalising commutes with rotations, as they keep the mean square. `Q` are the right singular
//! vectors of the layer that makes the keys, or the gate (Chen et al., "WINA: weight informed neuron
//! activation", 2025, after Ashkboos et al., "SliceGPT", 2024). With `rotations=per-layer` every
//! normalisation has its own and the stream is turned twice a layer, each time by a product with a
//! matrix of its width squared, which `weft inspect` counts like all others; keys of fewer channels than
//! the stream then read only as many of it. With `rotations=gate` attention is left in the axes of the
//! gate and the stream is turned once a layer; with `rotations=global` all share the axes of the sum
//! over the gates and it is never turned, and nothing is quite orthogonal.
//!
//! With `axes=all` each place has the axes of the sum over all layers that read it there, each counting as
//! much as the others: no layer is quite orthogonal, but none is given up for another, as queries, values
//! and the other half of a gated net are with `axes=leading`. Keys are not cut then, and `rotations=global`
//! sums over all places. Neither need help: the numbers of a model are often sparser along its own axes than
//! along any others (`benches/methods/sparsity.py` has an example with figures), so measure both.
//!
//! Normalisations must be named: `recognise-rms-norm` comes first. Those around the mean do not commute and are left alone, like streams that anything but
//! `RMSNormalization`, constant products and sums reads. The numbers agree up to rounding.
mod axes;
mod stream;
mod turn;

use axes::Axes;
use stream::{Matrix, Place, Stream};
use weft_ir::{NodeId, Stage};
use weft_numerics::{off_diagonal, principal_axes, product, transposed};
use weft_passes::{
    Declined, Editor, OptionError, OptionInfo, Options, Outcome, Pass, PassContext, PassError, PassInfo,
    PassKind, Rewriter,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "orthogonalize",
    summary: "turns the residual stream into axes along which weights are orthogonal",
    options: &[
        OptionInfo {
            name: "rotations",
            default: "per-layer",
            help: "`per-layer` for two turns of the stream a layer, `gate` for one, `global` for none",
        },
        OptionInfo {
            name: "axes",
            default: "leading",
            help: "`leading` for those of the keys and of the gate, `all` for those of all layers that read the \
                   stream there",
        },
    ],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|options| {
        Ok(Box::new(Orthogonalize { rotations: Rotations::new(options)?, whose: Whose::new(options)? }))
    },
};

/// Products whose elements off the diagonal are smaller than this are diagonal.
const DIAGONAL: f64 = 1e-4;

/// Why nothing is turned.
const PRINCIPAL: &str = "its axes are the principal ones already";

/// Where the axes change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rotations {
    PerLayer,
    Gate,
    Global,
}

impl Rotations {
    fn new(options: &Options) -> Result<Self, OptionError> {
        Ok(match options.text("rotations") {
            "per-layer" => Self::PerLayer,
            "gate" => Self::Gate,
            "global" => Self::Global,
            other => {
                let why = format!(
                    "option `rotations` cannot be `{other}`: expected `per-layer`, `gate` or `global`"
                );
                return Err(OptionError::Refused(why));
            }
        })
    }
}

/// Whose axes they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Those of the keys, or of the gate.
    Leading,
    /// Those of all layers that read the stream at a place.
    All,
}

impl Whose {
    fn new(options: &Options) -> Result<Self, OptionError> {
        match options.text("axes") {
            "leading" => Ok(Self::Leading),
            "all" => Ok(Self::All),
            other => {
                let why = format!("option `axes` cannot be `{other}`: expected `leading` or `all`");
                Err(OptionError::Refused(why))
            }
        }
    }
}

struct Orthogonalize {
    rotations: Rotations,
    whose: Whose,
}

impl Pass for Orthogonalize {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        let tell = |what: &str| cx.measure.iter().for_each(|measure| measure.tell(what));
        edit.each_node(|g, id| self.orthogonalize(g, id, &tell))
    }
}

/// Is told what is being done.
type Tell<'t> = dyn Fn(&str) + 't;

impl Orthogonalize {
    fn orthogonalize(&self, g: &mut Rewriter<'_>, id: NodeId, tell: &Tell<'_>) -> Result<(), Declined> {
        let Some(stream) = Stream::from(g, id)? else { return Ok(()) };
        let mut axes = self.axes(g, &stream)?;
        turn::turn(g, &stream, &mut axes, tell)
    }

    /// The axes, or that these are those of the stream already.
    fn axes(&self, g: &Rewriter<'_>, stream: &Stream) -> Result<Axes, Declined> {
        let all = (0..stream.places.len() - 1).collect();
        let leading: Vec<usize> = match (self.rotations, self.whose) {
            (Rotations::PerLayer, _) | (Rotations::Global, Whose::All) => all,
            (Rotations::Gate | Rotations::Global, _) => stream.gates(),
        };
        if leading.is_empty() {
            return Err("no layer of the stream has a gate".into());
        }
        let is_diagonal = |gram: &[f64]| off_diagonal(gram, stream.width) < DIAGONAL;
        if self.rotations == Rotations::Global {
            let mut sum = vec![0.0; stream.width * stream.width];
            for place in &leading {
                let gram = self.whose.gram(g, &stream.places[*place], stream.width)?;
                sum.iter_mut().zip(gram).for_each(|(sum, x)| *sum += x);
            }
            let same = is_diagonal(&sum);
            return if same {
                Err(PRINCIPAL.into())
            } else {
                Ok(Axes::everywhere(principal_axes(&sum, stream.width)))
            };
        }
        for place in &leading {
            if !is_diagonal(&self.whose.gram(g, &stream.places[*place], stream.width)?) {
                return Ok(Axes::of_places(self.whose, leading));
            }
        }
        Err(PRINCIPAL.into())
    }
}

impl Whose {
    /// What the layers whose axes are asked for make of those of the stream: inputs by inputs.
    fn gram(self, g: &Rewriter<'_>, place: &Place, width: usize) -> Result<Vec<f64>, Declined> {
        if self == Self::Leading {
            return gram(g, (place, place.leading), width);
        }
        let mut sum = vec![0.0; width * width];
        for reader in 0..place.readers.len() {
            let own = gram(g, (place, reader), width)?;
            let trace: f64 = own.iter().step_by(width + 1).sum();
            // Relative errors count alike, whatever the size of the weights; those of zeros have none.
            let share = if trace > 0.0 { 1.0 / trace } else { 0.0 };
            sum.iter_mut().zip(&own).for_each(|(sum, own)| *sum += own * share);
        }
        Ok(sum)
    }
}

/// What one layer of a place makes of the axes of the stream.
fn gram(g: &Rewriter<'_>, (place, reader): (&Place, usize), width: usize) -> Result<Vec<f64>, Declined> {
    let matrix = Matrix::of(g, place.readers[reader].weight, width)?;
    let (weights, cols) = (matrix.all()?, matrix.cols);
    let scaled: Vec<f64> = weights.iter().enumerate().map(|(i, w)| w * place.gain[i / cols]).collect();
    Ok(product(&scaled, &transposed(&scaled, [width, cols]), [width, cols, width]))
}
