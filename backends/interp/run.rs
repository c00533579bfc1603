//! Running a graph: node by node in order, freeing what is not needed any more.
use crate::call::{Call, EvalError, Regions, Symbols, wrong};
use crate::{families, foreign};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::op::Presence;
use weft_ir::{
    Attrs, Body, Def, Fact, Graph, Instance, Module, Node, NodeId, OpDef, OpSet, Tensor, TensorType, Value,
};

/// No tensor of a run may have more elements than this unless the caller says otherwise.
const BUDGET: u64 = 1 << 28;

/// Runs modules node by node; slow and plainly right.
#[derive(Debug, Clone, Copy)]
pub struct Interpreter {
    ops: &'static OpSet,
    budget: u64,
}

impl Default for Interpreter {
    fn default() -> Self {
        Self { ops: OpSet::builtin(), budget: BUDGET }
    }
}

impl Interpreter {
    /// An interpreter that refuses tensors of more elements than this.
    pub fn with_budget(budget: u64) -> Self {
        Self { budget, ..Self::default() }
    }

    /// An interpreter that knows these operators. Those with a body are what their body is.
    pub fn with_ops(ops: &'static OpSet) -> Self {
        Self { ops, ..Self::default() }
    }

    /// Whether there is a function for this operator.
    pub fn knows(op: &str) -> bool {
        families::eval_of(op).is_some()
    }

    /// Whether a node of this operator can be computed.
    pub fn computes(&self, op: &str) -> bool {
        let Some(def) = self.ops.get(op) else { return false };
        match def.foreign() {
            Some(foreign) => foreign.symbols().all(|symbol| foreign.function(symbol).is_some()),
            None => def.is_graph() || Self::knows(op),
        }
    }

    /// The outputs of a module for these inputs, both in the order of its graph.
    pub fn run(&self, module: &Module, inputs: &[Arc<Tensor>]) -> Result<Vec<Tensor>, EvalError> {
        let graph = &module.graph;
        let mut symbols = Symbols::new();
        check_inputs(graph, inputs, &mut symbols)?;
        let plan = Plan::of(graph);
        let outputs = self.run_graph(graph, &plan, inputs.to_vec(), symbols)?;
        Ok(outputs.into_iter().map(Arc::unwrap_or_clone).collect())
    }

    /// The outputs of a module by name, for inputs by name.
    pub fn run_named(
        &self,
        module: &Module,
        inputs: &BTreeMap<String, Arc<Tensor>>,
    ) -> Result<BTreeMap<String, Tensor>, EvalError> {
        let graph = &module.graph;
        let mut ordered = Vec::new();
        for id in graph.inputs() {
            let name = graph.name_of(Value { node: *id, slot: 0 });
            match inputs.get(name) {
                Some(tensor) => ordered.push(tensor.clone()),
                None => return wrong(format!("input `{name}` is missing")),
            }
        }
        let outputs = self.run(module, &ordered)?;
        Ok(graph.output_names().iter().cloned().zip(outputs).collect())
    }

    /// The results of one node without free symbols, for constant folding.
    pub fn eval_node(&self, node: &Node, operands: &[Option<Arc<Tensor>>]) -> Result<Vec<Tensor>, EvalError> {
        self.eval(node, operands.to_vec(), &Symbols::new())
    }

    fn eval(
        &self,
        node: &Node,
        mut operands: Vec<Option<Arc<Tensor>>>,
        symbols: &Symbols,
    ) -> Result<Vec<Tensor>, EvalError> {
        let name = node.op.as_str();
        let def = self.ops.get(name).ok_or(EvalError::UnknownOp)?;
        let fixed = def.operands.iter().filter(|o| o.presence != Presence::Variadic).count();
        operands.resize(operands.len().max(fixed), None);
        for result in &node.results {
            self.check_budget(&result.ty, symbols)?;
        }
        if let Some(foreign) = def.foreign() {
            return foreign::eval(def, foreign, node, operands);
        }
        if let Some(body) = def.body {
            return self.eval_body(def, body, node, &operands);
        }
        let eval = families::eval_of(name).ok_or(EvalError::UnknownOp)?;
        let plans = node.regions.iter().map(|_| OnceCell::new()).collect();
        let regions = Frame { interpreter: self, node, symbols, plans };
        let attrs = Attrs { def, node };
        let operands = &operands;
        let results = eval(&Call { node, attrs, operands, symbols, budget: self.budget, regions: &regions })?;
        if results.len() < node.results.len() {
            let (found, expected) = (results.len(), node.results.len());
            return wrong(format!("expected {expected} results, found {found}"));
        }
        Ok(results.into_iter().take(node.results.len()).collect())
    }

    /// The results of a node that stands for a graph.
    fn eval_body(
        &self,
        def: &OpDef,
        body: &Body,
        node: &Node,
        operands: &[Option<Arc<Tensor>>],
    ) -> Result<Vec<Tensor>, EvalError> {
        let facts: Vec<_> = operands.iter().map(|tensor| tensor.as_ref().map(Fact::constant)).collect();
        let Instance { graph, operands: places, .. } = body.instance(def, node, &facts)?;
        let inputs = places.iter().filter_map(|place| operands.get(*place).cloned().flatten()).collect();
        let outputs = self.run_graph(&graph, &Plan::of(&graph), inputs, Symbols::new())?;
        Ok(outputs.into_iter().map(Arc::unwrap_or_clone).collect())
    }

    fn check_budget(&self, ty: &TensorType, symbols: &Symbols) -> Result<(), EvalError> {
        let value_of = |name: &str| symbols.get(name).copied();
        let elements = ty.elements().and_then(|n| n.eval(&value_of));
        if elements.is_some_and(|n| n > 0 && n as u64 > self.budget) {
            let dims = ty.dims.iter().flatten().map(|d| d.eval(&value_of).unwrap_or(0) as u64).collect();
            return Err(EvalError::TooLarge { dims, budget: self.budget });
        }
        Ok(())
    }

    fn run_graph(
        &self,
        graph: &Graph,
        plan: &Plan,
        inputs: Vec<Arc<Tensor>>,
        mut symbols: Symbols,
    ) -> Result<Vec<Arc<Tensor>>, EvalError> {
        let mut values: BTreeMap<Value, Arc<Tensor>> = BTreeMap::new();
        for (id, tensor) in graph.inputs().iter().zip(inputs) {
            values.insert(Value { node: *id, slot: 0 }, tensor);
        }
        for step in &plan.steps {
            let node = graph.node(step.node);
            let operands = step.operands.iter().map(|v| v.and_then(|v| values.get(&v).cloned())).collect();
            let results = self.eval(node, operands, &symbols).map_err(|cause| at(node, cause))?;
            for (slot, (tensor, def)) in results.into_iter().zip(&node.results).enumerate() {
                settle(def, &tensor, &mut symbols).map_err(|cause| at(node, cause))?;
                values.insert(Value { node: step.node, slot: slot as u32 }, Arc::new(tensor));
            }
            step.dead.iter().for_each(|v| drop(values.remove(v)));
        }
        let missing = || EvalError::Wrong("an output of the graph has no value".to_string());
        graph.outputs().iter().map(|v| values.get(v).cloned().ok_or_else(missing)).collect()
    }
}

fn at(node: &Node, cause: EvalError) -> EvalError {
    let at = node.results.first().map_or_else(String::new, |r| r.name.clone());
    EvalError::At { op: node.op.to_string(), at, cause: Box::new(cause) }
}

/// The steps of a graph, computed once however often it runs.
struct Plan {
    steps: Vec<Step>,
}

struct Step {
    node: NodeId,
    operands: Vec<Option<Value>>,
    /// Values nobody needs after this step.
    dead: Vec<Value>,
}

impl Plan {
    fn of(graph: &Graph) -> Self {
        let mut last: BTreeMap<Value, usize> = BTreeMap::new();
        let mut steps = Vec::new();
        for (i, node) in graph.order().into_iter().enumerate() {
            let operands = graph.operands(node);
            let results = 0..graph.node(node).results.len() as u32;
            last.extend(results.map(|slot| (Value { node, slot }, i)));
            last.extend(operands.iter().flatten().map(|v| (*v, i)));
            steps.push(Step { node, operands, dead: Vec::new() });
        }
        last.retain(|value, _| !graph.outputs().contains(value));
        last.into_iter().for_each(|(value, step)| steps[step].dead.push(value));
        Self { steps }
    }
}

/// The regions of a node that is being evaluated.
struct Frame<'a> {
    interpreter: &'a Interpreter,
    node: &'a Node,
    symbols: &'a Symbols,
    plans: Vec<OnceCell<Plan>>,
}

impl Regions for Frame<'_> {
    fn run(&self, index: usize, inputs: Vec<Arc<Tensor>>) -> Result<Vec<Arc<Tensor>>, EvalError> {
        let region = self.node.regions.get(index).zip(self.plans.get(index));
        let Some((graph, plan)) = region else { return wrong(format!("region {index} is missing")) };
        let mut symbols = self.symbols.clone();
        let expected = graph.inputs().len();
        if inputs.len() != expected {
            return wrong(format!("region {index} takes {expected} inputs, found {}", inputs.len()));
        }
        for (id, tensor) in graph.inputs().iter().zip(&inputs) {
            settle(&graph.node(*id).results[0], tensor, &mut symbols)?;
        }
        let plan = plan.get_or_init(|| Plan::of(graph));
        self.interpreter.run_graph(graph, plan, inputs, symbols)
    }
}

/// Checks the inputs of a run and binds the names in their extents: alone-standing names first, so
/// that sums and products of them can be checked.
fn check_inputs(graph: &Graph, inputs: &[Arc<Tensor>], symbols: &mut Symbols) -> Result<(), EvalError> {
    if inputs.len() != graph.inputs().len() {
        return wrong(format!("expected {} inputs, found {}", graph.inputs().len(), inputs.len()));
    }
    let defs: Vec<&Def> = graph.inputs().iter().map(|id| &graph.node(*id).results[0]).collect();
    for (def, tensor) in defs.iter().zip(inputs) {
        check_form(def, tensor, "input")?;
        let dims = def.ty.dims.iter().flatten().zip(tensor.dims());
        for (name, found) in dims.filter_map(|(dim, n)| Some((dim.as_symbol()?, *n as i64))) {
            let bound = *symbols.entry(name.into()).or_insert(found);
            if bound != found && name != "?" {
                let input = &def.name;
                return wrong(format!("input `{input}` has extent {found} where `{name}` is {bound}"));
            }
        }
    }
    symbols.remove("?");
    defs.iter().zip(inputs).try_for_each(|(def, tensor)| check_extents(def, tensor, symbols, "input"))
}

/// Checks a result against its type and binds the names it decides.
fn settle(def: &Def, tensor: &Tensor, symbols: &mut Symbols) -> Result<(), EvalError> {
    check_form(def, tensor, "value")?;
    for (axis, (dim, found)) in def.ty.dims.iter().flatten().zip(tensor.dims()).enumerate() {
        let Some(name) = dim.as_symbol().filter(|name| name.starts_with('?') && name.len() > 1) else {
            continue;
        };
        // A name in a region may hide one of the outer graph, and a loop decides it anew.
        if name == format!("?{}.{axis}", def.name) || !symbols.contains_key(name) {
            symbols.insert(name.into(), *found as i64);
        }
    }
    check_extents(def, tensor, symbols, "value")
}

fn check_form(def: &Def, tensor: &Tensor, what: &str) -> Result<(), EvalError> {
    let Def { name, ty } = def;
    if tensor.dtype() != ty.dtype {
        return wrong(format!("{what} `{name}` has element type {}, expected {}", tensor.dtype(), ty.dtype));
    }
    match ty.rank() {
        Some(rank) if rank != tensor.dims().len() => {
            let found = tensor.dims().len();
            wrong(format!("{what} `{name}` has rank {found}, expected {rank}"))
        }
        _ => Ok(()),
    }
}

fn check_extents(def: &Def, tensor: &Tensor, symbols: &Symbols, what: &str) -> Result<(), EvalError> {
    for (axis, (dim, found)) in def.ty.dims.iter().flatten().zip(tensor.dims()).enumerate() {
        let expected = dim.eval(&|name| symbols.get(name).copied());
        if expected.is_some_and(|n| n != *found as i64) {
            let name = &def.name;
            let expected = expected.unwrap_or(0);
            let dim = if dim.as_fixed().is_some() { String::new() } else { format!(" (`{dim}`)") };
            return wrong(format!(
                "{what} `{name}` has extent {found} on axis {axis}, expected {expected}{dim}"
            ));
        }
    }
    Ok(())
}
