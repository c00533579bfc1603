//! What applying an operator takes, for passes that weigh alternatives.
use weft_ir::{Attr, DType, Dim, Fact, Node, OpDef, TensorType};

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
    /// Whether the operands are those rows of a matrix that are left where others, which meet zeros, are skipped.
    pub skips: bool,
    /// Bytes of what else is read before the operands are read again: what no cache holds beside them comes from
    /// memory.
    pub beside: u64,
}

/// What an application does, whatever the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Bytes read and written of tensors that a cache holds.
    pub near: u64,
    /// Bytes read and written of tensors that none holds.
    pub far: u64,
    /// Operations on single elements, a multiplication and an addition counted as two.
    pub operations: u64,
    /// Those of products of a few rows with a matrix of codes of few bits, which are unpacked for them.
    pub coded: u64,
    /// Those with codes of whole bytes.
    pub bytes: u64,
    /// Those with rows of codes that are left where others are skipped.
    pub scattered: u64,
    /// Loops that have to be started.
    pub launches: u64,
}

/// How fast a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    /// Bytes moved in a nanosecond from and to caches.
    pub near: u64,
    /// Bytes moved in a nanosecond from and to memory.
    pub far: u64,
    /// Operations made in a nanosecond.
    pub operations: u64,
    /// The same with codes of few bits.
    pub coded: u64,
    /// The same with codes of whole bytes.
    pub bytes: u64,
    /// The same with rows of codes that are left where others are skipped.
    pub scattered: u64,
    /// Picoseconds to start a loop.
    pub launch: u64,
}

/// An extent that only a run can tell is taken to be this large.
const NOMINAL: i64 = 64;

/// Lanes of the vectors that columns and channels are taken to fill.
const VECTOR: u64 = 16;

/// Tensors up to this many bytes are taken to be in a cache still when they are read.
const CACHED: u64 = 8 << 20;

/// Bits of codes that are whole bytes.
const BYTE: u32 = 8;

/// So many rows are few.
const FEW: u64 = 12;

/// Groups of a convolution with fewer weights for a place of its window are taken one beside the other.
const SMALL_GROUP: u64 = 64;

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
        let within = usize::from(self.def.traits.elementwise);
        let read = self.operands.iter().skip(within).flatten();
        let mut work = Work { launches: u64::from(!self.def.traits.elementwise), ..Work::default() };
        let kind = match (self.unpacked(), self.skips) {
            (None, _) => &mut work.operations,
            (Some(..BYTE), false) => &mut work.coded,
            (Some(_), false) => &mut work.bytes,
            (Some(_), true) => &mut work.scattered,
        };
        *kind = self.operations();
        self.results.iter().for_each(|fact| work.moves(bytes(&fact.ty), 0));
        read.for_each(|fact| work.moves(bytes(&fact.ty), self.beside));
        work
    }

    fn operations(&self) -> u64 {
        let made = self.results.first().map_or(0, |fact| elements(&fact.ty));
        let extent = |operand: usize, axis: usize| self.extent(operand, axis);
        let transposed = self.node.attrs.contains_key("transA");
        let each = match self.def.name {
            "MatMul" => self.summed(extent(0, self.rank(0).saturating_sub(1))),
            "Gemm" if transposed => self.summed(extent(0, 0)),
            "Gemm" => self.summed(extent(0, 1)),
            "Conv" => 2 * self.elements(1) / extent(1, 0).max(1) * filled(self.channels()) / VECTOR,
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

    /// Operations for each of the numbers that a product makes, which are sums over so many steps.
    fn summed(&self, depth: u64) -> u64 {
        filled(self.columns()).saturating_mul(depth).saturating_mul(2) / VECTOR
    }

    /// The bits of codes, where it is a product of few rows with a matrix of them, which are unpacked for each anew.
    fn unpacked(&self) -> Option<u32> {
        let product = matches!(self.def.name, "MatMul" | "Gemm");
        let rows = self.results.first().map_or(0, |fact| elements(&fact.ty)) / self.columns().max(1);
        let codes = self.fact(1).map(|fact| fact.ty.dtype).filter(|dtype| dtype.is_int());
        codes.filter(|_| product && rows <= FEW).map(DType::bits)
    }

    /// How many columns a product makes, which lie in vectors.
    fn columns(&self) -> u64 {
        let dims = self.results.first().and_then(Fact::dims);
        dims.and_then(<[Dim]>::last).map_or(NOMINAL as u64, size)
    }

    /// How many output channels of a convolution lie in vectors: those of one group, or all where
    /// groups are so small that vectors are taken across them.
    fn channels(&self) -> u64 {
        let group = match self.node.attrs.get("group") {
            Some(Attr::Int(group)) => u64::try_from(*group).unwrap_or(1).max(1),
            _ => 1,
        };
        let all = self.extent(1, 0);
        let each = all / group;
        let across = group > 1 && (each == 1 || each * self.extent(1, 1) < SMALL_GROUP);
        if across { all } else { each }
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

/// How many lanes are computed for `VECTOR` of so many elements in vectors: of the last vector some
/// are computed for nothing. A single element lies in no vector.
fn filled(elements: u64) -> u64 {
    if elements < 2 { VECTOR } else { elements.next_multiple_of(VECTOR).saturating_mul(VECTOR) / elements }
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
    /// Moves a tensor of so many bytes, which shares caches with others.
    fn moves(&mut self, bytes: u64, beside: u64) {
        let place = if bytes.saturating_add(beside) <= CACHED { &mut self.near } else { &mut self.far };
        *place = place.saturating_add(bytes);
    }

    /// Picoseconds on a machine. Moving and computing overlap.
    pub fn picoseconds(self, speed: &Speed) -> u64 {
        let at = |amount: u64, rate: u64| amount.saturating_mul(1000) / rate.max(1);
        let moving = at(self.near, speed.near).saturating_add(at(self.far, speed.far));
        let starting = self.launches.saturating_mul(speed.launch);
        let computing = at(self.operations, speed.operations)
            .saturating_add(at(self.coded, speed.coded))
            .saturating_add(at(self.bytes, speed.bytes))
            .saturating_add(at(self.scattered, speed.scattered));
        moving.max(computing).saturating_add(starting)
    }
}

/// A processor as most are, for when none is lent.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainCost;

impl Cost for PlainCost {
    fn picoseconds(&self, applied: &Applied<'_>) -> u64 {
        let speed = Speed {
            near: 32,
            far: 15,
            operations: 96,
            coded: 34,
            bytes: 22,
            scattered: 30,
            launch: 1_000_000,
        };
        applied.work().picoseconds(&speed)
    }
}
