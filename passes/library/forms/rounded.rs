//! The codes of layers, by either method.
use super::Coded;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use weft_ir::infer::Facts;
use weft_ir::{Module, OpSet, Value};
use weft_numerics::{Along, Blocks, Dampening, Grid, Quantised, gptq, rtn};
use weft_passes::{Linear, Measure, OptionError, Options, PassContext, PassError, moments};

/// Layers are rounded together until the second moments of their inputs take more bytes.
const MOST: usize = 128 << 20;

/// How numbers become codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Rtn,
    Gptq,
}

impl Method {
    /// Reads the option `method`.
    pub(crate) fn new(options: &Options) -> Result<Self, OptionError> {
        match options.text("method") {
            "rtn" => Ok(Method::Rtn),
            "gptq" => Ok(Method::Gptq),
            other => {
                let why = format!("option `method` cannot be `{other}`: expected `rtn` or `gptq`");
                Err(OptionError::Refused(why))
            }
        }
    }

    /// The name in options and in ledgers.
    pub(crate) fn name(self) -> &'static str {
        if self == Method::Rtn { "rtn" } else { "gptq" }
    }
}

/// How a matrix is rounded, but for the way of its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rounding {
    pub(crate) grid: Grid,
    /// How many weights share a scale; 0 for all along an axis.
    pub(crate) group: usize,
    pub(crate) method: Method,
}

impl Rounding {
    /// The blocks of a matrix that reach this way.
    fn blocks(&self, layer: &Linear, along: Along) -> Blocks {
        let extent = layer.dims[if along == Along::Inputs { 0 } else { 1 }].max(1);
        Blocks { along, size: if self.group == 0 { extent } else { self.group.min(extent) } }
    }

    /// The codes of all layers.
    pub(crate) fn codes(
        &self,
        cx: &PassContext<'_>,
        module: &Module,
        (facts, layers): (&Facts, &[Linear]),
        along: &[Along],
    ) -> Result<Vec<Coded>, PassError> {
        match self.method {
            Method::Rtn => self.rounded(facts, layers, along),
            Method::Gptq => {
                let measure = cx.data_for("method=gptq")?;
                self.compensated(measure, (module, cx.ops), (facts, layers), along)
            }
        }
    }

    /// The matrix of a layer, rounded to nearest in blocks that reach this way.
    pub(crate) fn nearest(&self, facts: &Facts, layer: &Linear, along: Along) -> Quantised {
        rtn(&layer.matrix(facts), layer.dims, self.blocks(layer, along), self.grid)
    }

    /// All layers rounded to nearest.
    fn rounded(&self, facts: &Facts, layers: &[Linear], along: &[Along]) -> Result<Vec<Coded>, PassError> {
        let places: Vec<usize> = (0..layers.len()).collect();
        spread(&places, &|place| coded(&self.nearest(facts, &layers[place], along[place])))
    }

    /// All layers rounded by GPTQ.
    fn compensated(
        &self,
        measure: &dyn Measure,
        (module, ops): (&Module, &OpSet),
        (facts, layers): (&Facts, &[Linear]),
        along: &[Along],
    ) -> Result<Vec<Coded>, PassError> {
        let inputs: BTreeSet<Value> = layers.iter().map(|layer| layer.input).collect();
        let inputs: Vec<Value> = inputs.into_iter().collect();
        let mut made: BTreeMap<usize, Coded> = BTreeMap::new();
        let mut known = Known::new();
        let mut round = |known: &Known| -> Result<(), PassError> {
            let places: Vec<usize> =
                (0..layers.len()).filter(|place| known.contains_key(&layers[*place].input)).collect();
            let one = |place: usize| {
                let why = |why| {
                    let at = module.graph.name_of(layers[place].output());
                    PassError::Failed(format!("`method=gptq` at `%{at}`: {why}"))
                };
                let (layer, how) = (&layers[place], (self.blocks(&layers[place], along[place]), self.grid));
                let (matrix, moments) = (layer.matrix(facts), &known[&layer.input]);
                coded(&gptq(&matrix, layer.dims, moments, Dampening::default(), how).map_err(why)?)
            };
            made.extend(places.iter().copied().zip(spread(&places, &one)?));
            Ok(())
        };
        moments(measure, (module, ops), &inputs, &mut |value, sum| {
            known.insert(value, sum);
            if known.values().map(|sum| size_of_val(&sum[..])).sum::<usize>() > MOST {
                round(&known)?;
                known.clear();
            }
            Ok(())
        })?;
        round(&known)?;
        Ok(made.into_values().collect())
    }
}

/// Second moments of inputs.
type Known = BTreeMap<Value, Vec<f32>>;

fn coded(matrix: &Quantised) -> Result<Coded, PassError> {
    Coded::new(matrix).ok_or_else(|| PassError::Failed("a matrix is too large for a tensor".to_string()))
}

/// Does work on several threads; results are in the order of the places.
pub(crate) fn spread<T: Send>(
    places: &[usize],
    work: &(dyn Fn(usize) -> Result<T, PassError> + Sync),
) -> Result<Vec<T>, PassError> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        let every = |first: usize| {
            scope.spawn(move || {
                places.iter().skip(first).step_by(threads).map(|place| work(*place)).collect::<Vec<_>>()
            })
        };
        let workers: Vec<_> = (0..threads).map(every).collect();
        let panicked = |_| PassError::Failed("a thread of the pass panicked".to_string());
        let parts = workers.into_iter().map(|worker| worker.join().map_err(panicked));
        let mut parts: Vec<_> =
            parts.map(|part| part.map(Vec::into_iter)).collect::<Result<Vec<_>, PassError>>()?;
        (0..places.len()).filter_map(|at| parts[at % threads].next()).collect()
    })
}
