//! The codes of layers, by either method.
use super::Codes;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use weft_ir::infer::Facts;
use weft_ir::{Graph, Module, OpSet, Tensor, Value};
use weft_numerics::{Along, Blocks, Compensation, Dampening, Grid, Quantised, gptq, rtn};
use weft_passes::{Findings, Linear, Measure, OptionError, Options, PassContext, PassError, moments};

/// Layers are rounded together until the second moments of their inputs take more bytes.
const MOST: usize = 64 << 20;

/// Outputs of a layer that are rounded at once, by one thread.
const COLUMNS: usize = 512;

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

/// One way to round a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) grid: Grid,
    pub(crate) along: Along,
}

/// How matrices are rounded, whatever the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rounding {
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

    /// The codes of all layers, of each in some ways.
    pub(crate) fn codes(
        &self,
        cx: &PassContext<'_>,
        module: &Module,
        layers: (&Facts, &[Linear]),
        ways: &[Vec<Way>],
    ) -> Result<Vec<Vec<Codes>>, PassError> {
        match self.method {
            Method::Rtn => self.rounded(layers, ways),
            Method::Gptq => self.compensated(cx.data_for("method=gptq")?, (module, cx.ops), layers, ways),
        }
    }

    /// All layers rounded to nearest.
    fn rounded(
        &self,
        (facts, layers): (&Facts, &[Linear]),
        ways: &[Vec<Way>],
    ) -> Result<Vec<Vec<Codes>>, PassError> {
        let places: Vec<usize> = (0..layers.len()).collect();
        let one = |place: usize| {
            let layer = &layers[place];
            let matrix = layer.matrix(facts);
            let one = |way: &Way| coded(&rtn(&matrix, layer.dims, self.blocks(layer, way.along), way.grid));
            ways[place].iter().map(one).collect()
        };
        spread(&places, &one)
    }

    /// All layers rounded by GPTQ, as far as their codes were not kept.
    fn compensated(
        &self,
        measure: &dyn Measure,
        (module, ops): (&Module, &OpSet),
        (facts, layers): (&Facts, &[Linear]),
        ways: &[Vec<Way>],
    ) -> Result<Vec<Vec<Codes>>, PassError> {
        let kept = Kept { rounding: self, findings: measure.findings(module), module };
        let mut made: BTreeMap<usize, Vec<Codes>> = (0..layers.len())
            .filter_map(|place| Some((place, kept.codes(&layers[place], &ways[place])?)))
            .collect();
        let open: Vec<usize> = (0..layers.len()).filter(|place| !made.contains_key(place)).collect();
        let inputs: BTreeSet<Value> = open.iter().map(|place| layers[*place].input).collect();
        let inputs: Vec<Value> = inputs.into_iter().collect();
        let mut known = Known::new();
        let mut round = |known: Known| -> Result<(), PassError> {
            let known = compensations(&module.graph, known)?;
            for place in open.iter().copied().filter(|place| known.contains_key(&layers[*place].input)) {
                let (layer, inputs) = (&layers[place], &known[&layers[place].input]);
                measure.tell(&format!("rounding layer {} of {}", place + 1, layers.len()));
                let codes = self.layer((facts, layer), inputs, &ways[place])?;
                kept.keep(layer, &ways[place], &codes);
                made.insert(place, codes);
            }
            Ok(())
        };
        moments(measure, (module, ops), &inputs, &mut |value, sum| {
            known.insert(value, sum);
            if known.values().map(|sum| size_of_val(&sum[..])).sum::<usize>() > MOST {
                round(std::mem::take(&mut known))?;
            }
            Ok(())
        })?;
        round(known)?;
        Ok(made.into_values().collect())
    }

    /// One layer rounded by GPTQ, some outputs at a time.
    fn layer(
        &self,
        (facts, layer): (&Facts, &Linear),
        inputs: &Compensation,
        ways: &[Way],
    ) -> Result<Vec<Codes>, PassError> {
        let (matrix, [_, outputs]) = (layer.matrix(facts), layer.dims);
        let one = |way: &Way| {
            let blocks = self.blocks(layer, way.along);
            let step =
                if way.along == Along::Outputs { COLUMNS.next_multiple_of(blocks.size) } else { COLUMNS };
            let parts: Vec<usize> = (0..outputs.div_ceil(step)).collect();
            let parts = spread(&parts, &|part| {
                let columns = part * step..(part * step + step).min(outputs);
                let dims = [layer.dims[0], columns.len()];
                let rows = matrix.chunks_exact(outputs).flat_map(|row| &row[columns.clone()]);
                Ok(gptq(&rows.copied().collect::<Vec<f32>>(), dims, inputs, (blocks, way.grid)))
            })?;
            let whole = Quantised::beside(parts);
            coded(&whole.ok_or_else(|| PassError::Failed("parts of a matrix do not fit".to_string()))?)
        };
        ways.iter().map(one).collect()
    }
}

/// Codes that were found before.
struct Kept<'k> {
    rounding: &'k Rounding,
    findings: Box<dyn Findings>,
    module: &'k Module,
}

impl Kept<'_> {
    fn question(&self, layer: &Linear, way: &Way) -> String {
        format!("codes of %{} by {:?} and {way:?}", self.module.graph.name_of(layer.output()), self.rounding)
    }

    /// The codes of a layer in all of some ways.
    fn codes(&self, layer: &Linear, ways: &[Way]) -> Option<Vec<Codes>> {
        let one = |way: &Way| {
            let tensors = self.findings.get(&self.question(layer, way))?;
            Codes::of_tensors(&tensors, layer.dims, self.rounding.blocks(layer, way.along))
        };
        ways.iter().map(one).collect()
    }

    fn keep(&self, layer: &Linear, ways: &[Way], codes: &[Codes]) {
        for (way, codes) in ways.iter().zip(codes) {
            let tensors: Vec<Tensor> = codes.tensors().cloned().collect();
            self.findings.put(&self.question(layer, way), &tensors);
        }
    }
}

/// Second moments of inputs.
type Known = BTreeMap<Value, Vec<f32>>;

/// What GPTQ makes of second moments.
fn compensations(graph: &Graph, known: Known) -> Result<BTreeMap<Value, Compensation>, PassError> {
    let known: Vec<(Value, Vec<f32>)> = known.into_iter().collect();
    let places: Vec<usize> = (0..known.len()).collect();
    let made = spread(&places, &|place| {
        let (value, moments) = &known[place];
        let failed = |why| PassError::Failed(format!("`method=gptq` at `%{}`: {why}", graph.name_of(*value)));
        Compensation::new(moments.len().isqrt(), moments, Dampening::default()).map_err(failed)
    })?;
    Ok(known.into_iter().map(|(value, _)| value).zip(made).collect())
}

fn coded(matrix: &Quantised) -> Result<Codes, PassError> {
    Codes::new(matrix).ok_or_else(|| PassError::Failed("a matrix is too large for a tensor".to_string()))
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
