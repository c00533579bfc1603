//! How far layers are off in other forms.
use super::{Coded, Masked, Prompt};
use std::collections::BTreeMap;
use weft_ir::infer::Facts;
use weft_ir::{Module, Tensor};
use weft_passes::{
    ErrorSum, Findings, Linear, Measure, PassContext, PassError, Scoped, Tapped, ValueError, in_scopes,
    own_scopes,
};

/// How many numbers a layer makes at a time, about, to be compared.
const NUMBERS: usize = 1 << 23;
/// How many rows of a calibration input make a sample.
const SAMPLE: usize = 80;

/// What a layer is given in the place of its matrix and its input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form<'f> {
    pub(crate) coded: Option<&'f Coded>,
    pub(crate) masked: Option<&'f Masked>,
}

/// What errors of layers are measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// All rows that flow in.
    All,
    /// Some rows of each calibration input, enough to compare forms with each other.
    Sample,
}

/// The error of each form of each layer: of its output on the calibration data, its input exact but for the
/// mask; without data that of its weights, and NaN for a mask.
pub(crate) fn errors(
    cx: &PassContext<'_>,
    module: &Module,
    (facts, layers): (&Facts, &[Linear]),
    (forms, on): (&[Vec<Form<'_>>], On),
) -> Result<Vec<Vec<ValueError>>, PassError> {
    match cx.judge() {
        Some(measure) => of_outputs(measure, (module, cx), (facts, layers), (forms, on)),
        None => (0..layers.len()).map(|place| of_weights(facts, layers, (place, &forms[place]))).collect(),
    }
}

/// The matrices of some layers as they are.
pub(crate) fn exact(facts: &Facts, layers: &[Linear], places: &[usize]) -> Result<Vec<Tensor>, PassError> {
    let gone = || PassError::Failed("a matrix is not there any more".to_string());
    places.iter().map(|place| layers[*place].tensor(facts).ok_or_else(gone)).collect()
}

fn of_weights(
    facts: &Facts,
    layers: &[Linear],
    (place, forms): (usize, &[Form<'_>]),
) -> Result<Vec<ValueError>, PassError> {
    let matrices = exact(facts, layers, &[place])?;
    let error = |form: &Form<'_>| {
        if form.masked.is_some() {
            return Ok(ValueError { relative_mse: f64::NAN, max: f64::NAN });
        }
        let mut sum = ErrorSum::default();
        sum.add(&matrices[0], &form.matrix(&matrices[0])?);
        Ok(sum.error())
    };
    forms.iter().map(error).collect()
}

fn of_outputs(
    measure: &dyn Measure,
    (module, cx): (&Module, &PassContext<'_>),
    (facts, layers): (&Facts, &[Linear]),
    (forms, on): (&[Vec<Form<'_>>], On),
) -> Result<Vec<Vec<ValueError>>, PassError> {
    let mut sums = Sums::kept(measure, (module, layers), (forms, on));
    let mut scopes = own_scopes(&module.graph, facts, cx.ops, layers);
    scopes.retain(|scope| !sums.open(scope.layers[0]).is_empty());
    let mut open: Vec<Vec<(&Form<'_>, ErrorSum)>> =
        scopes.iter().map(|scope| sums.open(scope.layers[0])).collect();
    let mut samples: BTreeMap<usize, Vec<Scoped>> = BTreeMap::new();
    in_scopes(measure, module, &scopes, &mut |Tapped { group, last, .. }, scoped| {
        let place = scopes[group].layers[0];
        // Samples are looked at together, as decoding and packing matrices takes longer than multiplying them.
        let samples = samples.entry(group).or_default();
        let by_row = are_by_row(&open[group]);
        samples.push(if by_row && on == On::Sample { scoped.sample(SAMPLE)? } else { scoped.clone() });
        if last || on == On::All || !by_row {
            let exact = &exact(facts, layers, &[place])?[0];
            for some in Scoped::joined(std::mem::take(samples))? {
                for part in parts(some, &layers[place], by_row)? {
                    compare(&part, exact, &mut open[group])?;
                }
            }
        }
        if last {
            sums.settle(place, &open[group]);
        }
        Ok(())
    })?;
    Ok(sums.errors())
}

/// Whether each row of what a layer makes in these forms is of its row alone. Masks that spare the first tokens have to
/// see which these are.
fn are_by_row(forms: &[(&Form<'_>, ErrorSum)]) -> bool {
    forms.iter().filter_map(|(form, _)| form.masked).all(|masked| masked.prompt == Prompt::Masked)
}

/// What flows into a layer, in parts of not too many rows.
fn parts(scoped: Scoped, layer: &Linear, by_row: bool) -> Result<Vec<Scoped>, PassError> {
    if by_row { scoped.in_rows(NUMBERS.div_ceil(layer.dims[1].max(1))) } else { Ok(vec![scoped]) }
}

/// How far forms of layers are off, as far as it is known.
struct Sums<'s> {
    on: On,
    findings: Box<dyn Findings>,
    module: &'s Module,
    layers: &'s [Linear],
    forms: &'s [Vec<Form<'s>>],
    known: Vec<Vec<Option<ErrorSum>>>,
}

impl<'s> Sums<'s> {
    fn kept(
        measure: &dyn Measure,
        (module, layers): (&'s Module, &'s [Linear]),
        (forms, on): (&'s [Vec<Form<'s>>], On),
    ) -> Self {
        let known = forms.iter().map(|forms| vec![None; forms.len()]).collect();
        let mut sums = Self { on, findings: measure.findings(module), module, layers, forms, known };
        for (place, forms) in forms.iter().enumerate() {
            let kept = |form| ErrorSum::of_tensor(sums.findings.get(&sums.question(place, form))?.first()?);
            sums.known[place] = forms.iter().map(kept).collect();
        }
        sums
    }

    fn question(&self, place: usize, form: &Form<'_>) -> String {
        let layer = self.module.graph.name_of(self.layers[place].output());
        let on =
            if self.on == On::Sample { format!("errors at {SAMPLE} rows") } else { "errors".to_string() };
        format!("{on} of %{layer} with {}", form.described())
    }

    /// The forms of a layer of which it is not known, with nothing summed up yet.
    fn open(&self, place: usize) -> Vec<(&'s Form<'s>, ErrorSum)> {
        let all = self.forms[place].iter().zip(&self.known[place]);
        all.filter(|(_, sum)| sum.is_none()).map(|(form, _)| (form, ErrorSum::default())).collect()
    }

    /// Takes in, and keeps, the sums of what was open.
    fn settle(&mut self, place: usize, open: &[(&Form<'_>, ErrorSum)]) {
        for (form, sum) in open {
            self.findings.put(&self.question(place, form), &[sum.to_tensor()]);
        }
        let unknown = self.known[place].iter_mut().filter(|sum| sum.is_none());
        unknown.zip(open).for_each(|(known, (_, sum))| *known = Some(*sum));
    }

    fn errors(&self) -> Vec<Vec<ValueError>> {
        let error = |sum: &Option<ErrorSum>| sum.unwrap_or_default().error();
        self.known.iter().map(|sums| sums.iter().map(error).collect()).collect()
    }
}

impl Form<'_> {
    /// What it computes with, by content.
    fn described(&self) -> String {
        let coded = self.coded.map_or("its own matrix".to_string(), Coded::described);
        let masked = self.masked.map_or("all inputs".to_string(), Masked::described);
        format!("{coded} and {masked}")
    }

    /// The matrix that it computes with.
    fn matrix(&self, exact: &Tensor) -> Result<Tensor, PassError> {
        self.coded.map_or_else(|| Ok(exact.clone()), Coded::matrix)
    }

    /// What the layer makes in this form, whose matrix that is.
    fn run(&self, scoped: &Scoped, matrix: Tensor) -> Result<Tensor, PassError> {
        match self.masked {
            None => scoped.run(&[matrix]),
            Some(masked) => {
                let input = masked.layer.input;
                scoped.run_with(input, &|tensor| masked.applied(tensor), &[matrix])
            }
        }
    }
}

/// Adds up how far each form is off on what flows in.
fn compare(scoped: &Scoped, exact: &Tensor, forms: &mut [(&Form<'_>, ErrorSum)]) -> Result<(), PassError> {
    let expected = scoped.run(std::slice::from_ref(exact))?;
    // Forms of the same codes follow each other.
    let mut last: Option<(&Coded, Tensor)> = None;
    for (form, sum) in forms {
        let known = last.take().filter(|(coded, _)| form.coded.is_some_and(|own| std::ptr::eq(own, *coded)));
        let matrix = match known {
            Some((_, matrix)) => matrix,
            None => form.matrix(exact)?,
        };
        last = form.coded.map(|coded| (coded, matrix.clone()));
        sum.add(&expected, &form.run(scoped, matrix)?);
    }
    Ok(())
}
