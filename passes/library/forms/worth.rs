//! How far layers are off in other forms.
use super::{Coded, Masked};
use weft_ir::infer::Facts;
use weft_ir::{Module, Tensor};
use weft_passes::{
    ErrorSum, Linear, Measure, PassContext, PassError, Scoped, Tapped, ValueError, in_scopes, own_scopes,
};

/// How many numbers a layer makes at a time, about, to be compared.
const NUMBERS: usize = 1 << 23;

/// What a layer is given in the place of its matrix and its input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form<'f> {
    pub(crate) coded: Option<&'f Coded>,
    pub(crate) masked: Option<&'f Masked>,
}

/// The error of each form of each layer: of its output on the calibration data, its input exact but for the
/// mask; without data that of its weights, and NaN for a mask.
pub(crate) fn errors(
    cx: &PassContext<'_>,
    module: &Module,
    (facts, layers): (&Facts, &[Linear]),
    forms: &[Vec<Form<'_>>],
) -> Result<Vec<Vec<ValueError>>, PassError> {
    match cx.measure {
        Some(measure) => of_outputs(measure, (module, cx), (facts, layers), forms),
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
    forms: &[Vec<Form<'_>>],
) -> Result<Vec<Vec<ValueError>>, PassError> {
    let mut sums: Vec<Vec<ErrorSum>> =
        forms.iter().map(|forms| vec![ErrorSum::default(); forms.len()]).collect();
    let scopes = own_scopes(&module.graph, facts, cx.ops, layers);
    in_scopes(measure, module, &scopes, &mut |Tapped { group, .. }, scoped| {
        let place = scopes[group].layers[0];
        let mut all: Vec<(&Form<'_>, &mut ErrorSum)> = forms[place].iter().zip(&mut sums[place]).collect();
        let exact = &exact(facts, layers, &[place])?[0];
        for rows in scoped.in_rows(NUMBERS.div_ceil(layers[place].dims[1].max(1)))? {
            compare(&rows, exact, &mut all)?;
        }
        Ok(())
    })?;
    Ok(sums.iter().map(|sums| sums.iter().map(ErrorSum::error).collect()).collect())
}

impl Form<'_> {
    /// The matrix that it computes with.
    fn matrix(&self, exact: &Tensor) -> Result<Tensor, PassError> {
        let broken = || PassError::Failed("the codes of a matrix do not read back".to_string());
        self.coded.map_or_else(|| Ok(exact.clone()), |coded| coded.matrix().ok_or_else(broken))
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
fn compare(
    scoped: &Scoped,
    exact: &Tensor,
    forms: &mut [(&Form<'_>, &mut ErrorSum)],
) -> Result<(), PassError> {
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
