//! Writes a kernel statement by statement; schedules are written against this.
use super::{
    Access, Binary, Buffer, BufferId, Compare, Hint, Kernel, Op, Reduce, Reg, Scalar, Stmt, Ty, Unary, Var,
};
use std::collections::BTreeMap;
use weft_ir::{Atom, DType, Dim};

/// Writes one kernel. Scalar `i64` arithmetic on constants folds while it is written, so schedules
/// need not treat fixed extents apart.
#[derive(Debug)]
pub struct Builder {
    kernel: Kernel,
    /// Bodies that are open, innermost last.
    open: Vec<Vec<Stmt>>,
    /// Registers known to hold an `i64` constant.
    known: BTreeMap<Reg, i64>,
    /// Registers known to hold a constant in all lanes.
    constants: BTreeMap<Reg, Scalar>,
    /// Symbols already read into a register, each at the top of the kernel.
    symbols: BTreeMap<String, Reg>,
}

impl Builder {
    /// An empty kernel.
    pub fn new(name: &str, schedule: &str) -> Self {
        let kernel = Kernel {
            name: name.to_string(),
            schedule: schedule.to_string(),
            buffers: Vec::new(),
            dims: Vec::new(),
            regs: vec![Ty::INDEX],
            vars: Vec::new(),
            task: Reg(0),
            body: Vec::new(),
        };
        Self {
            kernel,
            open: vec![Vec::new()],
            known: BTreeMap::new(),
            constants: BTreeMap::new(),
            symbols: BTreeMap::new(),
        }
    }

    /// The finished kernel.
    pub fn finish(mut self) -> Kernel {
        debug_assert_eq!(self.open.len(), 1, "a body was left open");
        self.kernel.body = self.open.pop().unwrap_or_default();
        self.kernel
    }

    /// The task number.
    pub fn task(&self) -> Reg {
        self.kernel.task
    }

    /// Adds a buffer. Parameters come in argument order, before arrays of the kernel's own.
    pub fn buffer(&mut self, name: &str, elem: DType, access: Access) -> BufferId {
        self.kernel.buffers.push(Buffer { name: name.to_string(), elem, access });
        BufferId(self.kernel.buffers.len() as u32 - 1)
    }

    /// The type of a register.
    pub fn ty(&self, reg: Reg) -> Ty {
        self.kernel.regs[reg.0 as usize]
    }

    /// The element type of a buffer.
    pub fn elem(&self, buffer: BufferId) -> DType {
        self.kernel.buffers[buffer.0 as usize].elem
    }

    /// The number a scalar `i64` register is known to hold.
    pub fn known(&self, reg: Reg) -> Option<i64> {
        self.known.get(&reg).copied()
    }

    /// The constant that a register is known to hold in all lanes.
    pub fn constant_of(&self, reg: Reg) -> Option<Scalar> {
        self.constants.get(&reg).copied()
    }

    /// Notes what is known of the result of an operation.
    fn learn(&mut self, reg: Reg, ty: Ty, op: &Op) {
        let constant = match op {
            Op::Const(value) => Some(*value),
            Op::Splat(a) => self.constant_of(*a),
            // A cast of an integer may wrap.
            Op::Cast(a) if ty.elem.is_float() && self.ty(*a).elem.is_float() => self.constant_of(*a),
            _ => None,
        };
        let Some(constant) = constant else { return };
        self.constants.insert(reg, constant);
        if let (Scalar::Int(x), Ty::INDEX) = (constant, ty) {
            self.known.insert(reg, x);
        }
    }

    fn push(&mut self, stmt: Stmt) {
        if let Some(body) = self.open.last_mut() {
            body.push(stmt);
        }
    }

    fn reg(&mut self, ty: Ty) -> Reg {
        self.kernel.regs.push(ty);
        Reg(self.kernel.regs.len() as u32 - 1)
    }

    /// Writes any operation.
    pub fn op(&mut self, ty: Ty, op: Op) -> Reg {
        let reg = self.reg(ty);
        self.learn(reg, ty, &op);
        self.push(Stmt::Let(reg, op));
        reg
    }

    /// An index constant.
    pub fn index(&mut self, value: i64) -> Reg {
        self.op(Ty::INDEX, Op::Const(Scalar::Int(value)))
    }

    /// A constant in all lanes.
    pub fn constant(&mut self, ty: Ty, value: Scalar) -> Reg {
        self.op(ty, Op::Const(value))
    }

    /// An `f32` constant in all lanes.
    pub fn f32(&mut self, lanes: u32, value: f32) -> Reg {
        self.op(Ty::vector(DType::F32, lanes), Op::Const(Scalar::Float(value.into())))
    }

    /// A symbolic extent, computed from the kernel's integer parameters.
    pub fn extent(&mut self, dim: &Dim) -> Reg {
        let mut sum = None;
        for (atoms, factor) in dim.terms().map(|(a, f)| (a.to_vec(), f)).collect::<Vec<_>>() {
            let mut product = self.index(factor);
            for atom in &atoms {
                let atom = self.atom(atom);
                product = self.mul(product, atom);
            }
            sum = Some(sum.map_or(product, |sum| self.add(sum, product)));
        }
        sum.unwrap_or_else(|| self.index(0))
    }

    fn atom(&mut self, atom: &Atom) -> Reg {
        let (a, b) = match atom {
            Atom::Symbol(name) => return self.symbol(name),
            Atom::Div(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) => {
                (self.extent(a), self.extent(b))
            }
        };
        match atom {
            Atom::Min(..) => self.min(a, b),
            Atom::Max(..) => self.max(a, b),
            Atom::Div(..) => self.floor_div(a, b),
            _ => self.floor_mod(a, b),
        }
    }

    /// The integer parameter of that name.
    pub fn symbol(&mut self, name: &str) -> Reg {
        if let Some(reg) = self.symbols.get(name) {
            return *reg;
        }
        self.kernel.dims.push(name.to_string());
        let reg = self.reg(Ty::INDEX);
        self.open[0].insert(0, Stmt::Let(reg, Op::Dim(self.kernel.dims.len() as u32 - 1)));
        self.symbols.insert(name.to_string(), reg);
        reg
    }

    fn fold(&self, a: Reg, b: Reg, f: fn(i64, i64) -> Option<i64>) -> Option<i64> {
        f(self.known(a)?, self.known(b)?)
    }

    /// One operand.
    pub fn unary(&mut self, op: Unary, a: Reg) -> Reg {
        self.op(self.ty(a), Op::Unary(op, a))
    }

    /// Two operands of one type.
    pub fn binary(&mut self, op: Binary, a: Reg, b: Reg) -> Reg {
        debug_assert_eq!(self.ty(a), self.ty(b), "{op:?}");
        self.op(self.ty(a), Op::Binary(op, a, b))
    }

    /// The sum.
    pub fn add(&mut self, a: Reg, b: Reg) -> Reg {
        match (self.known(a), self.known(b)) {
            (Some(0), _) => b,
            (_, Some(0)) => a,
            _ => match self.fold(a, b, i64::checked_add) {
                Some(sum) => self.index(sum),
                None => self.binary(Binary::Add, a, b),
            },
        }
    }

    /// The difference.
    pub fn sub(&mut self, a: Reg, b: Reg) -> Reg {
        match self.fold(a, b, i64::checked_sub) {
            Some(difference) => self.index(difference),
            None if self.known(b) == Some(0) => a,
            None => self.binary(Binary::Sub, a, b),
        }
    }

    /// The product.
    pub fn mul(&mut self, a: Reg, b: Reg) -> Reg {
        match (self.known(a), self.known(b)) {
            (Some(1), _) => b,
            (_, Some(1)) => a,
            (Some(0), _) => a,
            (_, Some(0)) => b,
            _ => match self.fold(a, b, i64::checked_mul) {
                Some(product) => self.index(product),
                None => self.binary(Binary::Mul, a, b),
            },
        }
    }

    /// The quotient of two numbers that are not negative, the second not zero.
    pub fn div(&mut self, a: Reg, b: Reg) -> Reg {
        match self.fold(a, b, i64::checked_div) {
            Some(quotient) => self.index(quotient),
            None if self.known(b) == Some(1) => a,
            None => self.binary(Binary::Div, a, b),
        }
    }

    /// The remainder of two numbers that are not negative, the second not zero.
    pub fn rem(&mut self, a: Reg, b: Reg) -> Reg {
        match self.fold(a, b, i64::checked_rem) {
            Some(remainder) => self.index(remainder),
            None if self.known(b) == Some(1) => self.index(0),
            None => self.binary(Binary::Rem, a, b),
        }
    }

    /// The quotient towards minus infinity; the divisor is positive.
    pub fn floor_div(&mut self, a: Reg, b: Reg) -> Reg {
        if let Some(quotient) = self.fold(a, b, |a, b| (b != 0).then(|| a.div_euclid(b))) {
            return self.index(quotient);
        }
        let (quotient, rest) = (self.binary(Binary::Div, a, b), self.binary(Binary::Rem, a, b));
        let zero = self.index(0);
        let negative = self.compare(Compare::Lt, rest, zero);
        let minus_one = self.index(-1);
        let less = self.binary(Binary::Add, quotient, minus_one);
        self.select(negative, less, quotient)
    }

    fn floor_mod(&mut self, a: Reg, b: Reg) -> Reg {
        let quotient = self.floor_div(a, b);
        let whole = self.mul(quotient, b);
        self.sub(a, whole)
    }

    /// The smaller one.
    pub fn min(&mut self, a: Reg, b: Reg) -> Reg {
        match self.fold(a, b, |a, b| Some(a.min(b))) {
            Some(min) => self.index(min),
            None => self.binary(Binary::Min, a, b),
        }
    }

    /// The larger one.
    pub fn max(&mut self, a: Reg, b: Reg) -> Reg {
        match self.fold(a, b, |a, b| Some(a.max(b))) {
            Some(max) => self.index(max),
            None => self.binary(Binary::Max, a, b),
        }
    }

    /// `a * b + c`.
    pub fn fma(&mut self, a: Reg, b: Reg, c: Reg) -> Reg {
        self.op(self.ty(a), Op::Fma(a, b, c))
    }

    /// A vector, computed before the loads behind it are made.
    pub fn in_order(&mut self, a: Reg) -> Reg {
        self.op(self.ty(a), Op::InOrder(a))
    }

    /// `c` plus sums of four products of bytes; see [`Op::Dot4`].
    pub fn dot4(&mut self, a: Reg, b: Reg, c: Reg) -> Reg {
        self.op(self.ty(c), Op::Dot4(a, b, c))
    }

    /// `c` plus sums of two products of bytes; see [`Op::Dot2`].
    pub fn dot2(&mut self, a: Reg, b: Reg, c: Reg) -> Reg {
        self.op(self.ty(c), Op::Dot2(a, b, c))
    }

    /// `c` plus sums of two lanes of `a`; see [`Op::Pairs`].
    pub fn pairs(&mut self, a: Reg, c: Reg) -> Reg {
        self.op(self.ty(c), Op::Pairs(a, c))
    }

    /// Compares two operands.
    pub fn compare(&mut self, op: Compare, a: Reg, b: Reg) -> Reg {
        debug_assert_eq!(self.ty(a), self.ty(b), "{op:?}");
        let lanes = self.ty(a).lanes;
        self.op(Ty::vector(DType::Bool, lanes), Op::Compare(op, a, b))
    }

    /// The second operand where the first is set, else the third.
    pub fn select(&mut self, condition: Reg, a: Reg, b: Reg) -> Reg {
        debug_assert_eq!(self.ty(a), self.ty(b));
        self.op(self.ty(a), Op::Select(condition, a, b))
    }

    /// Converts to another element type.
    pub fn cast(&mut self, a: Reg, elem: DType) -> Reg {
        let Ty { elem: from, lanes } = self.ty(a);
        if from == elem { a } else { self.op(Ty::vector(elem, lanes), Op::Cast(a)) }
    }

    /// The same bits as another element type of the same width.
    pub fn bitcast(&mut self, a: Reg, elem: DType) -> Reg {
        let lanes = self.ty(a).lanes;
        self.op(Ty::vector(elem, lanes), Op::Bitcast(a))
    }

    /// The same bits as another type altogether.
    pub fn reinterpret(&mut self, a: Reg, ty: Ty) -> Reg {
        if self.ty(a) == ty { a } else { self.op(ty, Op::Bitcast(a)) }
    }

    /// A scalar in all lanes; a scalar itself where there is one lane.
    pub fn splat(&mut self, a: Reg, lanes: u32) -> Reg {
        let elem = self.ty(a).elem;
        if lanes == 1 { a } else { self.op(Ty::vector(elem, lanes), Op::Splat(a)) }
    }

    /// All lanes to a scalar.
    pub fn reduce(&mut self, op: Reduce, a: Reg) -> Reg {
        let Ty { elem, lanes } = self.ty(a);
        if lanes == 1 { a } else { self.op(Ty::scalar(elem), Op::Reduce(op, a)) }
    }

    /// Reads memory.
    pub fn load(&mut self, buffer: BufferId, index: Reg, offset: i64, lanes: u32) -> Reg {
        self.load_masked(buffer, index, offset, lanes, None)
    }

    /// Reads memory where the mask is set.
    pub fn load_masked(
        &mut self,
        buffer: BufferId,
        index: Reg,
        offset: i64,
        lanes: u32,
        mask: Option<Reg>,
    ) -> Reg {
        let ty = Ty::vector(self.elem(buffer), lanes);
        self.op(ty, Op::Load { buffer, index, offset, mask })
    }

    /// Writes memory.
    pub fn store(&mut self, buffer: BufferId, index: Reg, offset: i64, value: Reg) {
        self.store_masked(buffer, index, offset, value, None);
    }

    /// Writes memory where the mask is set.
    pub fn store_masked(&mut self, buffer: BufferId, index: Reg, offset: i64, value: Reg, mask: Option<Reg>) {
        debug_assert_eq!(self.ty(value).elem, self.elem(buffer));
        self.push(Stmt::Store { buffer, index, offset, value, mask });
    }

    /// Any statement without a body.
    pub fn stmt(&mut self, stmt: Stmt) {
        self.push(stmt);
    }

    /// A variable with its first value.
    pub fn var(&mut self, first: Reg) -> Var {
        self.kernel.vars.push(self.ty(first));
        let var = Var(self.kernel.vars.len() as u32 - 1);
        self.push(Stmt::Set(var, first));
        var
    }

    /// The present value of a variable.
    pub fn get(&mut self, var: Var) -> Reg {
        self.op(self.kernel.vars[var.0 as usize], Op::Get(var))
    }

    /// Sets a variable.
    pub fn set(&mut self, var: Var, value: Reg) {
        debug_assert_eq!(self.kernel.vars[var.0 as usize], self.ty(value));
        self.push(Stmt::Set(var, value));
    }

    /// A loop over `start, start + step, ...` below `end`. A loop that is known to run once is
    /// written without a loop, one that is known not to run is not written.
    pub fn for_each(
        &mut self,
        start: Reg,
        end: Reg,
        step: i64,
        hint: Hint,
        body: impl FnOnce(&mut Self, Reg),
    ) {
        if let (Some(first), Some(bound)) = (self.known(start), self.known(end)) {
            if first >= bound {
                return;
            }
            if first + step >= bound {
                return body(self, start);
            }
        }
        let index = self.reg(Ty::INDEX);
        self.open.push(Vec::new());
        body(self, index);
        let body = self.open.pop().unwrap_or_default();
        self.push(Stmt::For { index, start, end, step, hint, body });
    }

    /// Runs the body if the condition holds.
    pub fn when(&mut self, condition: Reg, then: impl FnOnce(&mut Self)) {
        self.open.push(Vec::new());
        then(self);
        let then = self.open.pop().unwrap_or_default();
        self.push(Stmt::If { condition, then, otherwise: Vec::new() });
    }

    /// Runs one of two bodies.
    pub fn when_else(
        &mut self,
        condition: Reg,
        then: impl FnOnce(&mut Self),
        otherwise: impl FnOnce(&mut Self),
    ) {
        self.when(condition, then);
        self.open.push(Vec::new());
        otherwise(self);
        let body = self.open.pop().unwrap_or_default();
        if let Some(Stmt::If { otherwise, .. }) = self.open.last_mut().and_then(|b| b.last_mut()) {
            *otherwise = body;
        }
    }

    /// The mask of the first `count` of `lanes` lanes.
    pub fn first_lanes(&mut self, count: Reg, lanes: u32) -> Reg {
        let iota = self.op(Ty::vector(DType::I64, lanes), Op::Iota);
        let count = self.splat(count, lanes);
        self.compare(Compare::Lt, iota, count)
    }
}
