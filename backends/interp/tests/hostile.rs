//! Every operator on random operands with extreme attributes: errors, never panics.
use std::sync::Arc;
use weft_interp::Interpreter;
use weft_ir::infer::infer;
use weft_ir::op::Presence;
use weft_ir::{
    Attr, AttrDefault, AttrKind, DType, Def, Dim, Graph, Module, Node, OpDef, OpSet, Stage, Tensor,
    TensorType, Value,
};

/// Numbers that look random and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.roll() % n as u64) as usize
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// Mostly harmless, sometimes not.
    fn int(&mut self) -> i64 {
        match self.below(20) {
            0 => {
                self.of(&[i64::MIN, i64::MAX, i64::from(i32::MIN), i64::from(i32::MAX), 1 << 40, -(1 << 40)])
            }
            1..4 => -1 - self.below(4) as i64,
            _ => self.below(5) as i64,
        }
    }

    fn ints(&mut self) -> Vec<i64> {
        (0..self.below(5)).map(|_| self.int()).collect()
    }

    fn float(&mut self) -> f32 {
        match self.below(12) {
            0 => self.of(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 0.0, 1e-30]),
            _ => self.below(9) as f32 / 2.0 - 1.0,
        }
    }

    fn dims(&mut self) -> Vec<u64> {
        (0..self.below(6)).map(|_| self.of(&[0, 1, 2, 2, 3, 4])).collect()
    }

    /// A tensor, often of this shape and of floats.
    fn tensor(&mut self, usual: &[u64]) -> Tensor {
        let mut dims = if self.below(4) == 0 { self.dims() } else { usual.to_vec() };
        if self.below(3) == 0 && !dims.is_empty() {
            let at = self.below(dims.len());
            dims[at] = self.of(&[0, 1, 2, 4]);
        }
        let n = dims.iter().product::<u64>() as usize;
        let made = match self.below(12) {
            0 => Tensor::from_slice(&dims, &(0..n).map(|_| self.int()).collect::<Vec<_>>()),
            1 => Tensor::from_slice(&dims, &(0..n).map(|_| self.int() as i32).collect::<Vec<_>>()),
            2 => Tensor::from_slice(&dims, &(0..n).map(|_| self.roll() as u8).collect::<Vec<_>>()),
            3 => Tensor::from_slice(&dims, &(0..n).map(|_| self.below(2) == 1).collect::<Vec<_>>()),
            _ => Tensor::from_slice(&dims, &(0..n).map(|_| self.float()).collect::<Vec<_>>()),
        };
        made.expect("as many elements as the shape says")
    }

    /// A vector of integers, as operands that hold shapes and axes are.
    fn vector(&mut self) -> Tensor {
        Tensor::vector(&self.ints())
    }

    fn attr(&mut self, kind: AttrKind, texts: &[&str]) -> Attr {
        match kind {
            AttrKind::Int => Attr::Int(self.int()),
            AttrKind::Float => Attr::Float(self.float()),
            AttrKind::Str => Attr::Str(self.of(texts).to_string()),
            AttrKind::Ints => Attr::Ints(self.ints()),
            AttrKind::Floats => Attr::Floats((0..self.below(4)).map(|_| self.float()).collect()),
            AttrKind::Strs => Attr::Strs((0..self.below(4)).map(|_| self.of(texts).to_string()).collect()),
            AttrKind::Dims => Attr::Dims(self.ints().into_iter().map(Dim::fixed).collect()),
            AttrKind::Type => Attr::Type(self.of(DType::ALL)),
            AttrKind::Tensor => Attr::Tensor(Arc::new(self.tensor(&[1]))),
        }
    }
}

const TEXTS: &[&str] = &[
    "",
    "nchw",
    "nhwc",
    "SAME_UPPER",
    "SAME_LOWER",
    "VALID",
    "NOTSET",
    "constant",
    "reflect",
    "edge",
    "wrap",
    "none",
    "add",
    "max",
    "linear",
    "nearest",
    "cubic",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
    "floor",
    "not_larger",
    "bidirectional",
    "reverse",
    "Tanh",
    "Relu",
    "DCR",
    "CRD",
    "border",
    "reflection",
    "avg",
    "ij,jk->ik",
];

/// A module of one node of this operator on constants and inputs.
fn module(def: &OpDef, dice: &mut Dice) -> (Module, Vec<Arc<Tensor>>) {
    let mut graph = Graph::new("main");
    let (mut operands, mut feed) = (Vec::new(), Vec::new());
    let usual = dice.dims();
    let extra = def.operands.iter().any(|o| o.presence == Presence::Variadic);
    for i in 0..def.operands.len() + if extra { dice.below(3) } else { 0 } {
        let presence = def.operands.get(i).map_or(Presence::Required, |o| o.presence);
        if presence != Presence::Required && dice.below(2) == 0 {
            operands.push(None);
            continue;
        }
        let tensor = Arc::new(if i > 0 && dice.below(3) == 0 { dice.vector() } else { dice.tensor(&usual) });
        let ty = TensorType::fixed(tensor.dtype(), tensor.dims());
        if dice.below(2) == 0 {
            let result = Def { name: format!("c{i}"), ty };
            let node = Node::new("Const", vec![result]).with("value", Attr::Tensor(tensor));
            operands.push(Some(Value { node: graph.add(node, &[]), slot: 0 }));
            continue;
        }
        let axes = 0..tensor.dims().len();
        let named = TensorType::new(ty.dtype, axes.map(|a| Dim::symbol(&format!("N{i}{a}"))).collect());
        operands.push(Some(graph.add_input(&format!("x{i}"), if dice.below(2) == 0 { named } else { ty })));
        feed.push(tensor);
    }
    let count = def.results.0.max(1 + dice.below(def.results.1.min(3)));
    let results = (0..count).map(|i| Def { name: format!("y{i}"), ty: TensorType::unranked(DType::F32) });
    let mut node = Node::new(def.name, results.collect());
    for attr in def.attrs {
        if dice.below(2) > 0 || attr.default == AttrDefault::Required {
            node.attrs.insert(attr.name.to_string(), dice.attr(attr.kind, TEXTS));
        }
    }
    let node = graph.add(node, &operands);
    graph.set_outputs((0..count as u32).map(|slot| Value { node, slot }).collect());
    (Module::new(Stage::Canonical, graph), feed)
}

#[test]
fn no_operator_panics() {
    let mut dice = Dice(1);
    for def in OpSet::builtin().iter() {
        for _ in 0..ROUNDS {
            let (mut module, feed) = module(def, &mut dice);
            if infer(&mut module.graph, OpSet::builtin()).is_ok() {
                // Whether it runs is not the question.
                drop(Interpreter::with_budget(1 << 16).run(&module, &feed));
            }
        }
    }
}

/// Modules for each operator.
const ROUNDS: usize = 200;
