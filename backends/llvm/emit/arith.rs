//! Operations on registers.
//!
//! No float operation may be reordered or fused: a schedule that wants a fused multiply-add writes
//! one. Minimum and maximum are a comparison and a selection, which is what the vector instructions
//! compute; a reduction folds halves.
use super::{EmitError, Emitter, Result, Value, types, values};
use inkwell::types::BasicType;
use inkwell::values::InstructionOpcode as I;
use inkwell::{FloatPredicate, IntPredicate};
use weft_ir::{DType, types::Kind};
use weft_kernel::nest::{Binary, Compare, Op, Reduce, Reg, Ty, Unary};

impl<'a, 'c> Emitter<'a, 'c> {
    /// The value of an operation whose result has the type of `reg`.
    pub(super) fn operation(&self, reg: Reg, op: &'a Op) -> Result<Value<'c>> {
        let ty = self.ty(reg)?;
        match op {
            Op::Const(value) => types::constant(self.context, ty, *value),
            Op::Dim(n) => Ok((*self.dims.get(*n as usize).ok_or(EmitError::Missing(*n))?).into()),
            Op::Get(var) => {
                let ty = types::register(self.context, ty)?;
                Ok(self.builder.build_load(ty, self.var(*var)?, "")?)
            }
            Op::Unary(op, a) => self.unary(*op, self.read(*a)?, ty.elem),
            Op::Binary(op, a, b) => self.binary(*op, self.read(*a)?, self.read(*b)?, ty.elem),
            Op::Fma(a, b, c) => self.fma(self.read(*a)?, self.read(*b)?, self.read(*c)?, ty.elem),
            Op::Dot4(a, b, c) => self.dot4(self.read(*a)?, self.read(*b)?, self.read(*c)?),
            Op::Dot2(a, b, c) => self.dot2(self.read(*a)?, self.read(*b)?, self.read(*c)?),
            Op::Pairs(a, c) => self.pairs(self.read(*a)?, self.read(*c)?),
            Op::Compare(op, a, b) => self.compare_registers(*op, *a, *b),
            Op::Select(condition, a, b) => self.pick(self.read(*condition)?, self.read(*a)?, self.read(*b)?),
            Op::Cast(a) => self.cast(self.read(*a)?, self.ty(*a)?.elem, ty.elem),
            Op::Bitcast(a) => self.conversion(I::BitCast, self.read(*a)?, types::register(self.context, ty)?),
            Op::Splat(a) => self.splat(self.read(*a)?, ty.lanes),
            Op::Iota => types::iota(self.context, ty),
            Op::InOrder(a) => self.in_order(self.read(*a)?),
            Op::Reduce(op, a) => self.reduce(*op, self.read(*a)?, ty.elem),
            Op::Shuffle(a, b, picks) => self.shuffle(self.read(*a)?, self.read(*b)?, picks),
            Op::Lane(a, lane) => self.lane(self.read(*a)?, *lane),
            Op::Load { buffer, index, offset, mask } => {
                self.load(self.address(*buffer, *index, *offset)?, ty.elem, ty.lanes, *mask)
            }
            Op::Gather { buffer, index, mask } => self.gather(*buffer, *index, *mask),
        }
    }

    fn unary(&self, op: Unary, a: Value<'c>, elem: DType) -> Result<Value<'c>> {
        let ty = a.get_type();
        let float = types::is_float(elem);
        let name = match op {
            Unary::Not if !float => {
                let ones = self.ones(elem, values::lanes(a))?;
                return self.binary_instruction(I::Xor, a, ones);
            }
            Unary::Neg if float => return self.negated(a),
            Unary::Neg if elem.is_int() => return self.binary_instruction(I::Sub, ty.const_zero(), a),
            Unary::Abs if types::is_signed(elem) => {
                return self.call_value("llvm.abs", &[ty], &[a, self.flag(false)]);
            }
            Unary::Abs if elem.kind() == Kind::Unsigned => return Ok(a),
            Unary::Abs if float => "llvm.fabs",
            Unary::Sqrt if float => "llvm.sqrt",
            Unary::Floor if float => "llvm.floor",
            Unary::Ceil if float => "llvm.ceil",
            Unary::Trunc if float => "llvm.trunc",
            Unary::RoundEven if float => "llvm.roundeven",
            _ => return Err(EmitError::Undefined { op: format!("{op:?}"), elem }),
        };
        self.call_value(name, &[ty], &[a])
    }

    /// Every bit set.
    fn ones(&self, elem: DType, lanes: u32) -> Result<Value<'c>> {
        let lane = types::lane(self.context, elem)?.into_int_type().const_all_ones();
        Ok(types::repeated(lane.into(), lanes))
    }

    fn negated(&self, a: Value<'c>) -> Result<Value<'c>> {
        match a {
            Value::FloatValue(a) => Ok(self.builder.build_float_neg(a, "")?.into()),
            Value::VectorValue(a) => Ok(self.builder.build_float_neg(a, "")?.into()),
            _ => Err(EmitError::Form("a float is expected".to_string())),
        }
    }

    pub(super) fn binary(&self, op: Binary, a: Value<'c>, b: Value<'c>, elem: DType) -> Result<Value<'c>> {
        match op {
            Binary::Min | Binary::Max => return self.extreme(op, a, b, elem),
            Binary::Div | Binary::Rem if elem.is_int() => return self.quotient(op, a, b, elem),
            _ => {}
        }
        let signed = types::is_signed(elem);
        let instruction = match elem.kind() {
            Kind::Float if types::is_float(elem) => match op {
                Binary::Add => Some(I::FAdd),
                Binary::Sub => Some(I::FSub),
                Binary::Mul => Some(I::FMul),
                Binary::Div => Some(I::FDiv),
                Binary::Rem => Some(I::FRem),
                _ => None,
            },
            Kind::Signed | Kind::Unsigned => Some(int_instruction(op, signed)),
            Kind::Bool => match op {
                Binary::And | Binary::Or | Binary::Xor => Some(int_instruction(op, false)),
                _ => None,
            },
            _ => None,
        };
        match instruction {
            Some(instruction) => self.binary_instruction(instruction, a, b),
            None => Err(EmitError::Undefined { op: format!("{op:?}"), elem }),
        }
    }

    /// Division that never traps, since lanes that a mask leaves out hold zeros: by 0 it gives the
    /// dividend and the remainder 0, and what overflows wraps.
    fn quotient(&self, op: Binary, a: Value<'c>, b: Value<'c>, elem: DType) -> Result<Value<'c>> {
        let signed = types::is_signed(elem);
        let instruction = int_instruction(op, signed);
        if constant_divisor(b) {
            return self.binary_instruction(instruction, a, b);
        }
        let (zero, ones) = (b.get_type().const_zero(), self.ones(elem, values::lanes(b))?);
        let one = self.binary_instruction(I::Sub, zero, ones)?;
        let by_zero = self.compare_ints(IntPredicate::EQ, b, zero)?;
        let safe = self.pick(by_zero, one, b)?;
        if !signed {
            return self.binary_instruction(instruction, a, safe);
        }
        let negates = self.compare_ints(IntPredicate::EQ, b, ones)?;
        let result = self.binary_instruction(instruction, a, self.pick(negates, one, safe)?)?;
        let negated = match op {
            Binary::Rem => zero,
            _ => self.binary_instruction(I::Sub, zero, a)?,
        };
        self.pick(negates, negated, result)
    }

    fn extreme(&self, op: Binary, a: Value<'c>, b: Value<'c>, elem: DType) -> Result<Value<'c>> {
        let least = op == Binary::Min;
        match elem.kind() {
            // `a < b ? a : b` is exactly what `vminps` computes, NaN and all.
            Kind::Float if types::is_float(elem) => {
                let predicate = if least { FloatPredicate::OLT } else { FloatPredicate::OGT };
                let first = self.compare_floats(predicate, a, b)?;
                self.pick(first, a, b)
            }
            Kind::Bool => self.binary_instruction(if least { I::And } else { I::Or }, a, b),
            Kind::Signed => {
                self.call_value(if least { "llvm.smin" } else { "llvm.smax" }, &[a.get_type()], &[a, b])
            }
            Kind::Unsigned => {
                self.call_value(if least { "llvm.umin" } else { "llvm.umax" }, &[a.get_type()], &[a, b])
            }
            _ => Err(EmitError::Undefined { op: format!("{op:?}"), elem }),
        }
    }

    /// One rounding where the processor can; without the instruction, two: a call for each lane
    /// would cost fifty times as much.
    fn fma(&self, a: Value<'c>, b: Value<'c>, c: Value<'c>, elem: DType) -> Result<Value<'c>> {
        if !types::is_float(elem) {
            let product = self.binary(Binary::Mul, a, b, elem)?;
            return self.binary(Binary::Add, product, c, elem);
        }
        let name = if self.machine.target.fma() { "llvm.fma" } else { "llvm.fmuladd" };
        self.call_value(name, &[a.get_type()], &[a, b, c])
    }

    fn compare_registers(&self, op: Compare, a: Reg, b: Reg) -> Result<Value<'c>> {
        if let Some(mask) = self.first_lanes(op, a, b)? {
            return Ok(mask);
        }
        let elem = self.ty(a)?.elem;
        let (a, b) = (self.read(a)?, self.read(b)?);
        if types::is_float(elem) {
            let predicate = match op {
                Compare::Eq => FloatPredicate::OEQ,
                Compare::Ne => FloatPredicate::UNE,
                Compare::Lt => FloatPredicate::OLT,
                Compare::Le => FloatPredicate::OLE,
            };
            return self.compare_floats(predicate, a, b);
        }
        if types::is_short_float(elem) {
            return Err(EmitError::Undefined { op: format!("{op:?}"), elem });
        }
        let predicate = match (op, types::is_signed(elem)) {
            (Compare::Eq, _) => IntPredicate::EQ,
            (Compare::Ne, _) => IntPredicate::NE,
            (Compare::Lt, true) => IntPredicate::SLT,
            (Compare::Le, true) => IntPredicate::SLE,
            (Compare::Lt, false) => IntPredicate::ULT,
            (Compare::Le, false) => IntPredicate::ULE,
        };
        self.compare_ints(predicate, a, b)
    }

    /// `iota < splat(count)`, the mask of a tail, compared in 32 bits: the count is brought into
    /// the range of the lanes first, so nothing is lost, and half the instructions are.
    fn first_lanes(&self, op: Compare, a: Reg, b: Reg) -> Result<Option<Value<'c>>> {
        let made_by = |reg: Reg| self.made_by.get(reg.0 as usize).copied().flatten();
        let (Compare::Lt, Some(Op::Iota), Some(Op::Splat(count))) = (op, made_by(a), made_by(b)) else {
            return Ok(None);
        };
        let ty = self.ty(a)?;
        if ty.elem != DType::I64 || ty.lanes == 1 {
            return Ok(None);
        }
        let i64_type = self.context.i64_type();
        let most = i64_type.const_int(ty.lanes.into(), false).into();
        let count = self.binary(Binary::Min, self.read(*count)?, most, DType::I64)?;
        let count = self.binary(Binary::Max, count, i64_type.const_zero().into(), DType::I64)?;
        let count = self.conversion(I::Trunc, count, self.context.i32_type().into())?;
        let count = self.splat(count, ty.lanes)?;
        let iota = types::iota(self.context, Ty::vector(DType::I32, ty.lanes))?;
        self.compare_ints(IntPredicate::SLT, iota, count).map(Some)
    }

    pub(super) fn splat(&self, a: Value<'c>, lanes: u32) -> Result<Value<'c>> {
        if lanes == 1 {
            return Ok(a);
        }
        let empty = types::poison(types::widened(a.get_type(), lanes)).into_vector_value();
        let zero = self.context.i32_type().const_zero();
        let first = self.builder.build_insert_element(empty, a, zero, "")?;
        let zeros = self.context.i32_type().vec_type(lanes).const_zero();
        Ok(self.builder.build_shuffle_vector(first, empty, zeros, "")?.into())
    }

    fn shuffle(&self, a: Value<'c>, b: Value<'c>, picks: &[u32]) -> Result<Value<'c>> {
        let limit = values::lanes(a) + values::lanes(b);
        if let Some(pick) = picks.iter().find(|p| **p >= limit) {
            return Err(EmitError::Form(format!("lane {pick} of {limit} is picked")));
        }
        let (Value::VectorValue(left), Value::VectorValue(right)) = (a, b) else {
            let lanes: Result<Vec<_>> =
                picks.iter().map(|p| self.lane(if *p < values::lanes(a) { a } else { b }, 0)).collect();
            return self.of_lanes(&lanes?);
        };
        let shuffled =
            self.builder.build_shuffle_vector(left, right, types::picks(self.context, picks), "")?;
        if picks.len() == 1 { self.lane(shuffled.into(), 0) } else { Ok(shuffled.into()) }
    }

    fn of_lanes(&self, lanes: &[Value<'c>]) -> Result<Value<'c>> {
        let [first, rest @ ..] = lanes else {
            return Err(EmitError::Form("a shuffle picks nothing".to_string()));
        };
        if rest.is_empty() {
            return Ok(*first);
        }
        let ty = types::widened(first.get_type(), lanes.len() as u32);
        let mut vector = types::poison(ty).into_vector_value();
        for (i, lane) in lanes.iter().enumerate() {
            let at = self.context.i32_type().const_int(i as u64, false);
            vector = self.builder.build_insert_element(vector, *lane, at, "")?;
        }
        Ok(vector.into())
    }

    fn lane(&self, a: Value<'c>, lane: u32) -> Result<Value<'c>> {
        let Value::VectorValue(vector) = a else { return Ok(a) };
        if lane >= values::lanes(a) {
            return Err(EmitError::Form(format!("lane {lane} of {} is read", values::lanes(a))));
        }
        let at = self.context.i32_type().const_int(lane.into(), false);
        Ok(self.builder.build_extract_element(vector, at, "")?)
    }

    /// No instruction at all, of which LLVM knows only that it makes a vector of another and may touch memory.
    fn in_order(&self, value: Value<'c>) -> Result<Value<'c>> {
        let ty = value.get_type().fn_type(&[value.get_type().into()], false);
        let constraints = "=v,0,~{memory}".to_string();
        let asm = self.context.create_inline_asm(ty, String::new(), constraints, true, false, None, false);
        let call = self.builder.build_indirect_call(ty, asm, &[value.into()], "")?;
        call.try_as_basic_value()
            .basic()
            .ok_or_else(|| EmitError::Form("a vector is made of nothing".to_string()))
    }

    /// Folds the upper half into the lower one while there are two equal halves, then lane by lane.
    fn reduce(&self, op: Reduce, a: Value<'c>, elem: DType) -> Result<Value<'c>> {
        let binary = match op {
            Reduce::Add => Binary::Add,
            Reduce::Mul => Binary::Mul,
            Reduce::Min => Binary::Min,
            Reduce::Max => Binary::Max,
            Reduce::And => Binary::And,
            Reduce::Or => Binary::Or,
        };
        if elem == DType::Bool && matches!(op, Reduce::And | Reduce::Or) {
            let name = if op == Reduce::And { "llvm.vector.reduce.and" } else { "llvm.vector.reduce.or" };
            return self.call_value(name, &[a.get_type()], &[a]);
        }
        let mut folded = a;
        while values::lanes(folded) > 1 && values::lanes(folded).is_multiple_of(2) {
            let half = values::lanes(folded) / 2;
            let low = self.shuffle(folded, folded, &(0..half).collect::<Vec<_>>())?;
            let high = self.shuffle(folded, folded, &(half..2 * half).collect::<Vec<_>>())?;
            folded = self.binary(binary, low, high, elem)?;
        }
        let mut result = self.lane(folded, 0)?;
        for lane in 1..values::lanes(folded) {
            result = self.binary(binary, result, self.lane(folded, lane)?, elem)?;
        }
        Ok(result)
    }
}

/// Whether a divisor is a number that never traps.
fn constant_divisor(b: Value<'_>) -> bool {
    let lane = match b {
        Value::IntValue(b) => Some(b),
        Value::VectorValue(b) if b.is_constant_data_vector() => {
            Some(b.get_element_as_constant(0).into_int_value())
        }
        _ => None,
    };
    lane.and_then(|b| b.get_sign_extended_constant()).is_some_and(|b| b != 0 && b != -1)
}

fn int_instruction(op: Binary, signed: bool) -> I {
    match op {
        Binary::Add => I::Add,
        Binary::Sub => I::Sub,
        Binary::Mul => I::Mul,
        Binary::Div if signed => I::SDiv,
        Binary::Div => I::UDiv,
        Binary::Rem if signed => I::SRem,
        Binary::Rem => I::URem,
        Binary::And | Binary::Min => I::And,
        Binary::Or | Binary::Max => I::Or,
        Binary::Xor => I::Xor,
        Binary::Shl => I::Shl,
        Binary::Shr if signed => I::AShr,
        Binary::Shr => I::LShr,
    }
}
