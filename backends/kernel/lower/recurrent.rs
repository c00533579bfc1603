//! Recurrent networks: the products of the inputs for all steps at once, then one kernel that goes
//! through time.
use super::contract::Right;
use super::formula::wide;
use super::row::is_used;
use super::{Call, Handle, Lowering, Result, State, View};
use crate::math::Function as F;
use crate::program::{Memory, Weight, WeightData};
use crate::schedule::{self, Activation, Block, Cell, Operand, Recurrent, Role, Tile};
use crate::term::{Index, Term};
use weft_ir::{DType, Dim};

/// The extents of a network.
struct Shape {
    cell: Cell,
    dtype: DType,
    steps: Dim,
    batch: Dim,
    directions: i64,
    hidden: i64,
    /// Whether the batch is the first axis of inputs and results.
    batch_first: bool,
}

impl Shape {
    /// Columns of all gates of one direction.
    fn gates(&self) -> i64 {
        self.cell.gates() * self.hidden
    }
}

/// A buffer with what it holds.
type Argument = (Operand, (Memory, Dim));

impl Lowering<'_> {
    /// Lowers a recurrent network.
    pub(crate) fn recurrence(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        let cell = match call.op() {
            "RNN" => Cell::Rnn,
            "GRU" => Cell::Gru { late: call.attrs.flag("linear_before_reset") },
            "LSTM" => Cell::Lstm { coupled: call.attrs.flag("input_forget") },
            _ => return None,
        };
        Some(self.network(call, cell))
    }

    fn network(&mut self, call: &Call<'_>, cell: Cell) -> Result<Vec<Handle>> {
        let shape = self.shape_of(call, cell)?;
        let block = schedule::block(&self.machine, shape.dtype, cell, shape.hidden, &shape.batch);
        let mut arguments = vec![self.input_products(call, &shape)?];
        self.weights(call, &shape, block, &mut arguments)?;
        self.first_states(call, &shape, &mut arguments)?;
        let results = self.results(call, &shape, &mut arguments)?;
        let direction = call.attrs.str("direction");
        let what = Recurrent {
            cell,
            dtype: shape.dtype,
            steps: shape.steps.clone(),
            batch: shape.batch.clone(),
            hidden: shape.hidden,
            backwards: (0..shape.directions).map(|d| d == 1 || direction == "reverse").collect(),
            activations: activations(call, &shape),
            clip: call.attrs.float_opt("clip").map(|clip| f64::from(clip).abs()),
            block,
            operands: arguments.iter().map(|(operand, _)| operand.clone()).collect(),
        };
        let name = self.kernel_name(call.graph.name_of(call.result(0)));
        let (kernel, tasks) = schedule::recurrent(&name, &what);
        self.launch_on(kernel, arguments.into_iter().map(|(_, memory)| memory).collect(), tasks);
        Ok(results)
    }

    fn shape_of(&mut self, call: &Call<'_>, cell: Cell) -> Result<Shape> {
        let (x, r) = (self.dims_of(call.operand(0)?), self.dims_of(call.operand(2)?));
        let ([first, second, _], [directions, _, hidden]) = (x.as_slice(), r.as_slice()) else {
            return Err("three axes are expected".to_string());
        };
        let batch_first = call.attrs.int("layout") == 1;
        let (steps, batch) = if batch_first { (second, first) } else { (first, second) };
        Ok(Shape {
            cell,
            dtype: wide(self.dtype_of(call.operand(0)?)),
            steps: steps.clone(),
            batch: batch.clone(),
            directions: directions.as_fixed().ok_or("the number of directions is not known")?,
            hidden: hidden.as_fixed().ok_or("the number of hidden units is known only at run time")?,
            batch_first,
        })
    }

    /// `x W + b` for all steps, rows, directions and gates.
    fn input_products(&mut self, call: &Call<'_>, shape: &Shape) -> Result<Argument> {
        let (mut x, w) = (call.operand(0)?, call.operand(1)?);
        if shape.batch_first {
            x = self.permuted(x, &[1, 0, 2])?;
        }
        let columns = Dim::fixed(shape.directions * shape.gates());
        let inputs = self.dims_of(w)[2].clone();
        let w = self.reshaped(w, &[columns.clone(), inputs]);
        let w = self.permuted(w, &[1, 0])?;
        let product = self.product(x, w)?;
        let mut term = self.here(product);
        if let Some(bias) = call.optional(3) {
            let bias = self.bias(bias, shape)?;
            let bias = self.read(bias, &[Index::axis(2)]);
            term = self.plus(term, bias);
        }
        let dims = vec![shape.steps.clone(), shape.batch.clone(), columns.clone()];
        let all = self.lazy(dims, term);
        let view = self.force_whole(all);
        let operand = Operand {
            role: Role::Inputs,
            step: shape.batch.mul(&columns),
            direction: Dim::fixed(shape.gates()),
            row: columns,
        };
        Ok((operand, self.start_of(&view, shape.dtype)))
    }

    /// The biases of inputs and states together, but for a candidate whose product is reset.
    fn bias(&mut self, bias: Handle, shape: &Shape) -> Result<Handle> {
        let bias = self.cast(bias, shape.dtype);
        let gates = shape.gates();
        let apart = if shape.cell == (Cell::Gru { late: true }) { 2 * shape.hidden } else { gates };
        if let Some(sums) = self.constant_bias(bias, (gates, apart)) {
            return Ok(sums);
        }
        self.force(bias);
        let (direction, column) = (Index::axis(0), Index::axis(1));
        let second = column.plus(&Dim::fixed(gates));
        let (x, y) =
            (self.read(bias, &[direction.clone(), column.clone()]), self.read(bias, &[direction, second]));
        let (column, end, zero) = (self.position(column), self.integer(apart), self.zero(shape.dtype));
        let joins = self.test(F::Lt, column, end);
        let y = self.choose(joins, y, zero);
        let sum = self.plus(x, y);
        let sums = self.lazy(vec![Dim::fixed(shape.directions), Dim::fixed(gates)], sum);
        Ok(self.reshaped(sums, &[Dim::fixed(shape.directions * gates)]))
    }

    /// The same for constant data, computed now.
    fn constant_bias(&mut self, bias: Handle, (gates, apart): (i64, i64)) -> Option<Handle> {
        let (dtype, dims) = (self.dtype_of(bias), self.dims_of(bias));
        let fixed: Option<Vec<u64>> =
            dims.iter().map(|d| d.as_fixed().and_then(|d| u64::try_from(d).ok())).collect();
        let data = self.constant_data(bias)?.clone();
        let all = weft_ir::Tensor::new(dtype, fixed?, data).ok()?.to_f64s()?;
        let (gates, apart) = (gates as usize, apart as usize);
        let mut sums = Vec::new();
        for both in all.chunks_exact(2 * gates) {
            let sum = |i: usize| both[i] + if i < apart { both[gates + i] } else { 0.0 };
            for i in 0..gates {
                match dtype {
                    DType::F32 => sums.extend((sum(i) as f32).to_le_bytes()),
                    _ => sums.extend(sum(i).to_le_bytes()),
                }
            }
        }
        let count = Dim::fixed(sums.len() as i64 * 8 / i64::from(dtype.bits()));
        self.program.weights.push(Weight { name: "bias".to_string(), data: WeightData::Plain(sums.into()) });
        let memory = Memory::Weight(self.program.weights.len() as u32 - 1);
        let dims = vec![count];
        let view = View::whole(memory, &dims);
        Some(self.view(dtype, dims, view))
    }

    /// Panels of the state's weights, and what else does not change.
    fn weights(
        &mut self,
        call: &Call<'_>,
        shape: &Shape,
        block: Block,
        arguments: &mut Vec<Argument>,
    ) -> Result<()> {
        let first = shape.cell.first_gates();
        arguments.push(self.state_panels(call, shape, block, (Role::Panels, 0..first))?);
        if first < shape.cell.gates() {
            let rest = first..shape.cell.gates();
            arguments.push(self.state_panels(call, shape, block, (Role::LatePanels, rest))?);
        }
        let unmoved = |role: Role, direction: i64| Operand {
            role,
            step: Dim::fixed(0),
            direction: Dim::fixed(direction),
            row: Dim::fixed(0),
        };
        if let (Cell::Gru { late: true }, Some(bias)) = (shape.cell, call.optional(3)) {
            let bias = self.cast(bias, shape.dtype);
            let mut view = self.force_whole(bias);
            view.offset = view.offset.plus(shape.gates() + 2 * shape.hidden);
            let memory = self.start_of(&view, shape.dtype);
            arguments.push((unmoved(Role::LateBias, 2 * shape.gates()), memory));
        }
        if let Some(peepholes) = call.optional(7) {
            let peepholes = self.cast(peepholes, shape.dtype);
            let view = self.force_whole(peepholes);
            let memory = self.start_of(&view, shape.dtype);
            arguments.push((unmoved(Role::Peepholes, 3 * shape.hidden), memory));
        }
        Ok(())
    }

    fn state_panels(
        &mut self,
        call: &Call<'_>,
        shape: &Shape,
        block: Block,
        (role, gates): (Role, std::ops::Range<i64>),
    ) -> Result<Argument> {
        let r = self.cast(call.operand(2)?, shape.dtype);
        let View { memory, offset, strides } = self.force(r);
        let hidden = Dim::fixed(shape.hidden);
        let gate = strides[1].scale(shape.hidden);
        let right = Right {
            memory,
            offset: offset.add(&gate.scale(gates.start)),
            batch: vec![(Dim::fixed(shape.directions), strides[0].clone())],
            depth: vec![(hidden.clone(), strides[2].clone()), (Dim::fixed(gates.end - gates.start), gate)],
            col: (hidden, strides[1].clone()),
        };
        let tile = Tile { rows: block.rows, vectors: block.vectors, lanes: block.lanes, beside: 1 };
        let panels = self.panels(&right, shape.dtype, tile)?;
        let operand =
            Operand { role, step: Dim::fixed(0), direction: panels.strides[0].clone(), row: Dim::fixed(0) };
        Ok((operand, (panels.memory, Dim::fixed(0))))
    }

    /// The lengths of the rows and the states before the first step, where they are given.
    fn first_states(&mut self, call: &Call<'_>, shape: &Shape, arguments: &mut Vec<Argument>) -> Result<()> {
        if let Some(lengths) = call.optional(4) {
            let view = self.force_whole(lengths);
            let operand = Operand {
                role: Role::Lengths,
                step: Dim::fixed(0),
                direction: Dim::fixed(0),
                row: Dim::fixed(1),
            };
            arguments.push((operand, self.start_of(&view, DType::I32)));
        }
        for (i, role) in [(5, Role::FirstState), (6, Role::FirstCell)] {
            let Some(state) = call.optional(i).filter(|state| !self.is_zero(*state)) else { continue };
            let state = self.cast(state, shape.dtype);
            let mut view = self.force(state);
            if view.strides[2].as_fixed() != Some(1) {
                view = self.force_whole(state);
            }
            arguments.push(self.state_argument(role, &view, shape));
        }
        Ok(())
    }

    /// Whether all elements of a tensor are zero for sure.
    fn is_zero(&self, handle: Handle) -> bool {
        match self.state(handle) {
            State::Lazy(term, _) => matches!(self.terms.get(*term), Term::Const(_, 0)),
            State::View(_) => self.constant_data(handle).is_some_and(|data| data.iter().all(|b| *b == 0)),
        }
    }

    fn state_argument(&self, role: Role, view: &View, shape: &Shape) -> Argument {
        let (direction, row) = if shape.batch_first { (1, 0) } else { (0, 1) };
        let operand = Operand {
            role,
            step: Dim::fixed(0),
            direction: view.strides[direction].clone(),
            row: view.strides[row].clone(),
        };
        (operand, self.start_of(view, shape.dtype))
    }

    /// Memory for the results and for what a step leaves to the next.
    fn results(
        &mut self,
        call: &Call<'_>,
        shape: &Shape,
        arguments: &mut Vec<Argument>,
    ) -> Result<Vec<Handle>> {
        let (hidden, directions) = (Dim::fixed(shape.hidden), Dim::fixed(shape.directions));
        let mut state = vec![directions.clone(), shape.batch.clone(), hidden.clone()];
        let mut all = vec![shape.steps.clone(), directions, shape.batch.clone(), hidden];
        if shape.batch_first {
            state.swap(0, 1);
            all = vec![all[2].clone(), all[0].clone(), all[1].clone(), all[3].clone()];
        }
        let mut handles = Vec::new();
        for (slot, role) in [(0, Role::States), (1, Role::LastState), (2, Role::Cell)] {
            let is_cell = matches!(shape.cell, Cell::Lstm { .. });
            let needed = is_used(call, slot) || (role == Role::Cell && is_cell);
            if !needed {
                handles.push(handles.first().copied().unwrap_or(call.operand(0)?));
                continue;
            }
            let dims = if slot == 0 { &all } else { &state };
            let view = self.recurrent_result(call, slot, dims, shape);
            arguments.push(match role {
                Role::States => self.states_argument(&view, shape),
                _ => self.state_argument(role, &view, shape),
            });
            let handle = self.view(shape.dtype, dims.clone(), view);
            handles.push(if is_used(call, slot) { self.cast(handle, call.dtype(slot)) } else { handle });
        }
        arguments.push(self.scratch(shape));
        Ok(handles)
    }

    fn recurrent_result(&mut self, call: &Call<'_>, slot: u32, dims: &[Dim], shape: &Shape) -> View {
        if is_used(call, slot) && call.dtype(slot) == shape.dtype {
            self.target(call, slot, dims)
        } else {
            self.allocate(shape.dtype, dims, "state")
        }
    }

    fn states_argument(&self, view: &View, shape: &Shape) -> Argument {
        let (step, direction, row) = if shape.batch_first { (1, 2, 0) } else { (0, 1, 2) };
        let operand = Operand {
            role: Role::States,
            step: view.strides[step].clone(),
            direction: view.strides[direction].clone(),
            row: view.strides[row].clone(),
        };
        (operand, self.start_of(view, shape.dtype))
    }

    fn scratch(&mut self, shape: &Shape) -> Argument {
        let row = Dim::fixed(shape.cell.scratch() * shape.hidden);
        let dims = vec![Dim::fixed(shape.directions), shape.batch.clone(), row.clone()];
        let view = self.allocate(shape.dtype, &dims, "scratch");
        let operand =
            Operand { role: Role::Scratch, step: Dim::fixed(0), direction: row.mul(&shape.batch), row };
        (operand, self.start_of(&view, shape.dtype))
    }

    /// Where a view starts, in bytes.
    fn start_of(&self, view: &View, dtype: DType) -> (Memory, Dim) {
        (view.memory, view.offset.scale(i64::from(dtype.bits()) / 8))
    }
}

/// What gates are put through, by direction. Each function takes the next `alpha` and `beta` if it
/// has such.
fn activations(call: &Call<'_>, shape: &Shape) -> Vec<Vec<Activation>> {
    let usual: &[&str] = match shape.cell {
        Cell::Rnn => &["Tanh"],
        Cell::Gru { .. } => &["Sigmoid", "Tanh"],
        Cell::Lstm { .. } => &["Sigmoid", "Tanh", "Tanh"],
    };
    let mut alphas = call.attrs.floats("activation_alpha").iter();
    let mut betas = call.attrs.floats("activation_beta").iter();
    let mut alpha = |usual: f64| alphas.next().map_or(usual, |a| f64::from(*a));
    let mut beta = |usual: f64| betas.next().map_or(usual, |b| f64::from(*b));
    let given = call.attrs.strs("activations");
    let count = usual.len() * shape.directions as usize;
    let names: Vec<String> = if given.is_empty() {
        usual.iter().cycle().take(count).map(|name| name.to_ascii_lowercase()).collect()
    } else {
        given.iter().map(|name| name.to_ascii_lowercase()).collect()
    };
    let made = names.iter().map(|name| match name.as_str() {
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "relu" => Activation::Relu,
        "affine" => Activation::Affine(alpha(1.0), beta(0.0)),
        "leakyrelu" => Activation::LeakyRelu(alpha(0.01)),
        "thresholdedrelu" => Activation::ThresholdedRelu(alpha(1.0)),
        "scaledtanh" => Activation::ScaledTanh(alpha(1.0), beta(1.0)),
        "hardsigmoid" => Activation::HardSigmoid(alpha(0.2), beta(0.5)),
        "elu" => Activation::Elu(alpha(1.0)),
        "softsign" => Activation::Softsign,
        _ => Activation::Softplus,
    });
    let made: Vec<Activation> = made.collect();
    made.chunks(usual.len()).map(<[Activation]>::to_vec).collect()
}
