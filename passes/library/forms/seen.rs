//! How inputs are distributed on calibration data.
use super::Masked;
use super::limits::{Key, numbers};
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::{Module, Tensor, Value};
use weft_numerics::Quantiles;
use weft_passes::{Measure, PassError, Tapped};

/// The distribution of what inputs count for.
pub(crate) type Seen = BTreeMap<Key, Quantiles>;

/// Streams the calibration data and counts what all inputs of all layers amount to, as far as that was not kept.
pub(crate) fn seen(measure: &dyn Measure, module: &Module, layers: &[Masked]) -> Result<Seen, PassError> {
    let findings = measure.findings(module);
    let mut seen = Seen::new();
    let mut open: BTreeMap<Key, &Masked> = layers.iter().map(|layer| (layer.key(), layer)).collect();
    open.retain(|key, layer| {
        let kept = findings.get(&question(module, layer)).and_then(|kept| counted(&kept));
        let known = kept.is_some();
        seen.extend(kept.map(|kept| (*key, kept)));
        !known
    });
    let layers: Vec<&Masked> = open.values().copied().collect();
    each_input(measure, module, &layers, &mut |place, values| {
        let (layer, numbers) = (layers[place], numbers(values)?);
        let tokens = numbers.chunks_exact(layer.layer.dims[0]).enumerate();
        for (_, token) in tokens.filter(|(row, _)| !layer.prompt.spares(*row, values.dims())) {
            let all = seen.entry(layer.key()).or_default();
            match &layer.channel {
                None => token.iter().for_each(|x| all.add(*x)),
                Some(norms) => {
                    token
                        .iter()
                        .zip(norms.iter())
                        .for_each(|(x, norm)| all.add((f64::from(*x) * norm) as f32));
                }
            }
        }
        Ok(())
    })?;
    for (key, layer) in &open {
        if let Some(all) = seen.get(key) {
            findings.put(&question(module, layer), &bins(all));
        }
    }
    match seen.is_empty() && !layers.is_empty() {
        true => Err(PassError::Failed("the calibration data has no token that would be masked".to_string())),
        false => Ok(seen),
    }
}

fn question(module: &Module, layer: &Masked) -> String {
    let name = |value| format!("%{}", module.graph.name_of(value));
    let (input, weights) = layer.key();
    let norms =
        weights.map_or("one".to_string(), |layer| format!("the norms of the weights of {}", name(layer)));
    format!("sizes of {} times {norms}, prompts {:?}", name(input), layer.prompt)
}

/// A distribution as tensors, and back.
fn bins(all: &Quantiles) -> [Tensor; 2] {
    let (bins, counts): (Vec<u32>, Vec<u64>) = all.bins().unzip();
    [Tensor::vector(&bins), Tensor::vector(&counts)]
}

fn counted(kept: &[Tensor]) -> Option<Quantiles> {
    let [bins, counts] = kept else { return None };
    let (bins, counts) = (bins.to_vec::<u32>()?, counts.to_vec::<u64>()?);
    let mut all = Quantiles::default();
    let known =
        bins.len() == counts.len() && bins.into_iter().zip(counts).all(|(bin, n)| all.add_bin(bin, n));
    known.then_some(all)
}

/// Lends `visit` the inputs of each layer, by its place, once a calibration input.
fn each_input(
    measure: &dyn Measure,
    module: &Module,
    layers: &[&Masked],
    visit: &mut dyn FnMut(usize, &Tensor) -> Result<(), PassError>,
) -> Result<(), PassError> {
    let taps: BTreeSet<Value> = layers.iter().map(|layer| layer.layer.input).collect();
    let taps: Vec<Vec<Value>> = taps.into_iter().map(|tap| vec![tap]).collect();
    measure.stream(module, &taps, &mut |Tapped { group, .. }, values| {
        let of = layers.iter().enumerate().filter(|(_, layer)| layer.layer.input == taps[group][0]);
        of.map(|(place, _)| place).try_for_each(|place| visit(place, &values[0]))
    })
}
