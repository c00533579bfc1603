//! Facts computed from a module on demand and kept until a pass changes it.
use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::{Module, OpSet};

/// A fact computed from a module, cached until a pass changes the module.
pub trait Analysis: 'static {
    /// The fact.
    type Output: Send + Sync + 'static;
    /// Computes it; may ask for other analyses, never changes the module.
    fn compute(module: &Module, ops: &OpSet, analyses: &mut Analyses) -> Self::Output;
}

/// The analyses of one module, by type.
#[derive(Default)]
pub struct Analyses(BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Analyses {
    /// The fact, computed now or before.
    pub fn get<A: Analysis>(&mut self, module: &Module, ops: &OpSet) -> Arc<A::Output> {
        let key = TypeId::of::<A>();
        if let Some(Ok(known)) = self.0.get(&key).map(|known| known.clone().downcast()) {
            return known;
        }
        let output = Arc::new(A::compute(module, ops, self));
        self.0.insert(key, output.clone());
        output
    }

    /// Forgets everything, because the module changed.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
