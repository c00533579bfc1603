//! A plugin whose passes do what passes should not, and a few odd things that they may.
use weft_ir::{DType, NodeId, Stage};
use weft_passes::{
    Declined, Editor, OptionError, OptionInfo, Options, Outcome, Pass, PassContext, PassError, PassInfo,
    PassKind, PipelineInfo, Plugin, PluginInfo, RegisterError, Registrar, Rewriter, floats,
};

struct Unruly;

impl Plugin for Unruly {
    fn info(&self) -> PluginInfo {
        PluginInfo { name: "unruly", version: "0.1.0", summary: "what passes should not do" }
    }

    fn register(&self, registrar: &mut Registrar) -> Result<(), RegisterError> {
        registrar.pass(PANICS, "Panics.");
        registrar.pass(GIVES_UP, "Gives up.");
        registrar.pass(TIMES, "Before: `Const() {value = W}`. After: `Const() {value = factor * W}`.");
        registrar.pipeline(PipelineInfo {
            name: "twice",
            summary: "doubles, cleaned",
            steps: &["times,clean"],
        });
        Ok(())
    }
}

const PANICS: PassInfo = PassInfo {
    name: "panics",
    summary: "panics",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Imported, Stage::Lowered),
    build: &|_| Ok(Box::new(Panics)),
};

struct Panics;

impl Pass for Panics {
    fn run(&self, edit: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        panic!("{} nodes are too many", edit.graph.len())
    }
}

const GIVES_UP: PassInfo = PassInfo { name: "gives-up", build: &|_| Ok(Box::new(GivesUp)), ..PANICS };

struct GivesUp;

impl Pass for GivesUp {
    fn run(&self, _: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        Err(PassError::Failed("the moon is not full".to_string()))
    }
}

const TIMES: PassInfo = PassInfo {
    name: "times",
    summary: "multiplies every constant",
    options: &[OptionInfo { name: "factor", default: "2", help: "by what" }],
    kind: PassKind::Lossy,
    build: &times,
    ..PANICS
};

fn times(options: &Options) -> Result<Box<dyn Pass>, OptionError> {
    let factor: f64 = options.number("factor")?;
    if factor == 0.0 {
        return Err(OptionError::Refused("nothing would be left".to_string()));
    }
    Ok(Box::new(Times(factor)))
}

struct Times(f64);

impl Pass for Times {
    fn run(&self, edit: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        let nodes: Vec<NodeId> = edit.graph.nodes().collect();
        edit.each_node(|g, id| if nodes.contains(&id) { self.scale(g, id) } else { Ok(()) })
    }
}

impl Times {
    fn scale(&self, g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
        if !g.applies(id, "Const") {
            return Ok(());
        }
        let value = g.result(id);
        let tensor = g.data(value).filter(|tensor| tensor.dtype() == DType::F32).cloned();
        let tensor = tensor.ok_or("the constant is not of type f32")?;
        let values = tensor.to_f64s().unwrap_or_default().into_iter().map(|x| x * self.0);
        let scaled = floats(DType::F32, tensor.dims(), &values.collect::<Vec<_>>());
        let scaled = g.constant(scaled.ok_or("the constant has no numbers")?)?;
        g.replace(value, scaled);
        Ok(())
    }
}

weft_abi::export!(Unruly);
