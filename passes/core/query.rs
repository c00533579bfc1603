//! What passes ask of a graph: operators, constants and uses, read from structure and facts.
use crate::rewriter::Rewriter;
use std::sync::Arc;
use weft_ir::{DType, Dim, NodeId, Tensor, Value};

/// Asking.
impl Rewriter<'_> {
    /// Result 0 of a node.
    pub fn result(&self, id: NodeId) -> Value {
        Value { node: id, slot: 0 }
    }

    /// Whether a node applies this operator.
    pub fn applies(&self, id: NodeId, op: &str) -> bool {
        self.node(id).op == op
    }

    /// The node that makes a value as its first result, if it applies this operator.
    pub fn made_by(&self, value: Value, op: &str) -> Option<NodeId> {
        (value.slot == 0 && self.applies(value.node, op)).then_some(value.node)
    }

    /// Whether the results of a node follow from its operands alone, so that constants make constants:
    /// it is pure, and has operands and no regions.
    pub fn is_computable(&self, id: NodeId) -> bool {
        let node = self.node(id);
        let pure = self.ops().get(node.op.as_str()).is_some_and(|def| def.traits.pure);
        pure && node.regions.is_empty() && node.arity() > 0
    }

    /// The data of a constant.
    pub fn data(&self, value: Value) -> Option<&Arc<Tensor>> {
        self.fact(value)?.constant.as_ref()
    }

    /// The number, if the value is a constant of one element, whatever its rank.
    pub fn scalar(&self, value: Value) -> Option<f64> {
        self.data(value)?.as_scalar()
    }

    /// The integers, where all are known.
    pub fn ints(&self, value: Value) -> Option<Vec<i64>> {
        let fact = self.fact(value)?;
        fact.ints().or_else(|| fact.constant.as_ref()?.to_i64s())
    }

    /// The extents, if the rank is known.
    pub fn dims(&self, value: Value) -> Option<&[Dim]> {
        self.ty(value).dims.as_deref()
    }

    /// The rank, if known.
    pub fn rank(&self, value: Value) -> Option<usize> {
        self.ty(value).rank()
    }

    /// The element type.
    pub fn dtype(&self, value: Value) -> DType {
        self.ty(value).dtype
    }

    /// Whether both have the same element type and certainly the same shape.
    pub fn same_type(&self, a: Value, b: Value) -> bool {
        let same = |a: &[Dim], b: &[Dim]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
        let shapes = self.dims(a).zip(self.dims(b));
        self.dtype(a) == self.dtype(b) && shapes.is_some_and(|(a, b)| same(a, b))
    }

    /// Whether exactly one operand or output is this value.
    pub fn used_once(&self, value: Value) -> bool {
        self.use_count(value) == 1
    }

    /// The only user of a value, if it has one user, uses it once, and is no output.
    pub fn only_user(&self, value: Value) -> Option<NodeId> {
        match self.uses(value).as_slice() {
            [(user, _)] if !self.outputs().contains(&value) => Some(*user),
            _ => None,
        }
    }

    /// Both operands of a binary node.
    pub fn pair(&self, id: NodeId) -> Option<(Value, Value)> {
        Some((self.operand(id, 0)?, self.operand(id, 1)?))
    }

    /// The other operand of a binary node.
    pub fn other(&self, id: NodeId, value: Value) -> Option<Value> {
        let (a, b) = self.pair(id)?;
        if a == value {
            return Some(b);
        }
        (b == value).then_some(a)
    }

    /// The operand and the number, if the node is `op` of a value and a scalar constant; a
    /// commutative operator may have them either way round.
    pub fn with_scalar(&self, value: Value, op: &str) -> Option<(Value, f64)> {
        let (a, b) = self.pair(self.made_by(value, op)?)?;
        if let Some(number) = self.scalar(b) {
            return Some((a, number));
        }
        let commutes = self.ops().get(op).is_some_and(|def| def.traits.commutative);
        self.scalar(a).filter(|_| commutes).map(|number| (b, number))
    }

    /// The operand and the constant, if the node is commutative or the constant stands second.
    pub fn with_constant(&self, id: NodeId) -> Option<(Value, Value)> {
        let (a, b) = self.pair(id)?;
        if self.data(b).is_some() {
            return Some((a, b));
        }
        let commutes = self.ops().get(self.node(id).op.as_str()).is_some_and(|def| def.traits.commutative);
        (commutes && self.data(a).is_some()).then_some((b, a))
    }
}
