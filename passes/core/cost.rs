//! What applying an operator takes, for passes that weigh alternatives.
use weft_ir::{Attr, Dim, Fact, Node, OpDef, TensorType};

/// What the target in view takes for an operator; lent by the root.
pub trait Cost: Send + Sync {
    /// Picoseconds for one application. Only how two costs compare matters.
    fn picoseconds(&self, applied: &Applied<'_>) -> u64;
}

/// One application of an operator and what is known of its values.
#[derive(Debug, Clone, Copy)]
pub struct Applied<'a> {
    /// The definition.
    pub def: &'a OpDef,
    /// The node; its results need no names.
    pub node: &'a Node,
    /// What is known of its operands; in the place of a matrix that is read as codes, they and what
    /// belongs to them.
    pub operands: &'a [Option<Fact>],
    /// What is known of its results.
    pub results: &'a [Fact],
}

/// What an application does, whatever the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Bytes read and written.
    pub bytes: u64,
    /// Operations on single elements, a multiplication and an addition counted as two.
    pub operations: u64,
    /// Loops that have to be started.
    pub launches: u64,
}

/// An extent that only a run can tell is taken to be this large.
const NOMINAL: i64 = 64;

/// Lanes of the vectors that channels are taken to fill.
const VECTOR: u64 = 16;

/// Operators that give the bytes they are given, or read no elements at all.
const VIEWS: &[&str] =
    &["Const", "Flatten", "Identity", "Reshape", "Shape", "Size", "Squeeze", "Unsqueeze", "weft.Extents"];

/// Elementwise operators that take many operations for an element, and how many.
const SLOW: &[(&str, u64)] = &[
    ("Div", 4),
    ("Erf", 16),
    ("Exp", 12),
    ("Gelu", 20),
    ("Log", 16),
    ("Mod", 8),
    ("Pow", 32),
    ("Reciprocal", 4),
    ("Sigmoid", 16),
    ("Softplus", 24),
    ("Sqrt", 6),
    ("Tanh", 16),
];

impl Applied<'_> {
    /// What the application does. Elementwise operators are taken to run within the loop that
    /// makes their first operand: they start no loop, and read only the others.
    pub fn work(&self) -> Work {
        if VIEWS.contains(&self.def.name) {
            return Work::default();
        }
        let written: u64 = self.results.iter().map(|fact| bytes(&fact.ty)).fold(0, u64::saturating_add);
        let within = usize::from(self.def.traits.elementwise);
        let read = self.operands.iter().skip(within).flatten().map(|fact| bytes(&fact.ty));
        Work {
            bytes: read.fold(written, u64::saturating_add),
            operations: self.operations(),
            launches: u64::from(!self.def.traits.elementwise),
        }
    }

    fn operations(&self) -> u64 {
        let made = self.results.first().map_or(0, |fact| elements(&fact.ty));
        let extent = |operand: usize, axis: usize| self.extent(operand, axis);
        let transposed = self.node.attrs.contains_key("transA");
        let each = match self.def.name {
            "MatMul" => 2 * extent(0, self.rank(0).saturating_sub(1)),
            "Gemm" if transposed => 2 * extent(0, 0),
            "Gemm" => 2 * extent(0, 1),
            "Conv" => 2 * self.elements(1) / extent(1, 0).max(1) * self.narrowness() / VECTOR,
            "ConvTranspose" => {
                return (2 * self.elements(0)).saturating_mul(self.elements(1) / extent(1, 0).max(1));
            }
            name if self.def.traits.elementwise => {
                SLOW.iter().find(|(slow, _)| *slow == name).map_or(1, |(_, each)| *each)
            }
            "Concat" | "Split" | "Slice" | "Transpose" | "Expand" | "Gather" => 0,
            _ => return self.elements(0).max(made),
        };
        made.saturating_mul(each)
    }

    /// How many lanes a grouped convolution computes for those it needs, as a multiple of `VECTOR`.
    ///
    /// The output channels of a group fill vectors; where a group has few of them, most of a vector
    /// is computed for nothing. A convolution of each channel alone takes its vectors across groups.
    fn narrowness(&self) -> u64 {
        let group = match self.node.attrs.get("group") {
            Some(Attr::Int(group)) => u64::try_from(*group).unwrap_or(1).max(1),
            _ => 1,
        };
        let each = (self.extent(1, 0) / group).max(1);
        if group == 1 || each == 1 { VECTOR } else { each.next_multiple_of(VECTOR) * VECTOR / each }
    }

    fn rank(&self, operand: usize) -> usize {
        self.fact(operand).and_then(Fact::dims).map_or(1, <[Dim]>::len)
    }

    fn elements(&self, operand: usize) -> u64 {
        self.fact(operand).map_or(0, |fact| elements(&fact.ty))
    }

    fn extent(&self, operand: usize, axis: usize) -> u64 {
        let dim = self.fact(operand).and_then(Fact::dims).and_then(|dims| dims.get(axis));
        dim.map_or(NOMINAL as u64, size)
    }

    fn fact(&self, operand: usize) -> Option<&Fact> {
        self.operands.get(operand)?.as_ref()
    }
}

/// An extent as a number.
fn size(dim: &Dim) -> u64 {
    dim.eval(&|_| Some(NOMINAL)).and_then(|n| u64::try_from(n).ok()).unwrap_or(NOMINAL as u64)
}

fn elements(ty: &TensorType) -> u64 {
    let dims = ty.dims.as_deref();
    dims.map_or((NOMINAL * NOMINAL) as u64, |dims| dims.iter().map(size).fold(1, u64::saturating_mul))
}

fn bytes(ty: &TensorType) -> u64 {
    ty.dtype.bytes(elements(ty)).unwrap_or(u64::MAX)
}

impl Work {
    /// Picoseconds on a machine that moves so many bytes and makes so many operations in a
    /// nanosecond, and takes so many picoseconds to start a loop. Moving and computing overlap.
    pub fn picoseconds(self, bytes: u64, operations: u64, launch: u64) -> u64 {
        let moving = self.bytes.saturating_mul(1000) / bytes.max(1);
        let computing = self.operations.saturating_mul(1000) / operations.max(1);
        moving.max(computing).saturating_add(self.launches.saturating_mul(launch))
    }
}

/// A processor as most are, for when none is lent.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainCost;

impl Cost for PlainCost {
    fn picoseconds(&self, applied: &Applied<'_>) -> u64 {
        applied.work().picoseconds(10, 50, 1_000_000)
    }
}
