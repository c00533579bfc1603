//! What the host lends for one call, as the plugin's side uses it.
use crate::table::{Call, Setting, Text};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use weft_ir::text::WeightSource;
use weft_ir::{Tensor, TensorType};
use weft_passes::{Declined, Observer};

/// The host's side of a call that is going on.
#[derive(Clone, Copy)]
pub(crate) struct Lent<'c>(&'c Call);

impl<'c> Lent<'c> {
    /// # Safety
    /// `call` is what the host gave to a function of the table that has not returned yet.
    pub(crate) unsafe fn of(call: *const Call) -> Option<Self> {
        // SAFETY: the host lends the struct, which is at least as large as in the first version.
        unsafe { call.as_ref() }.filter(|call| call.size >= size_of::<Call>()).map(Self)
    }

    pub(crate) fn module(self) -> Result<&'c str, String> {
        // SAFETY: the host lends the text for the time of the call.
        unsafe { self.0.module.read() }.map_err(|error| format!("the module is not UTF-8: {error}"))
    }

    pub(crate) fn operators(self) -> Result<&'c str, String> {
        // SAFETY: the host lends the text for the time of the call.
        unsafe { self.0.operators.read() }.map_err(|error| format!("the operators are not UTF-8: {error}"))
    }

    pub(crate) fn settings(self) -> Vec<(String, String)> {
        if self.0.settings.is_null() {
            return Vec::new();
        }
        // SAFETY: the host lends so many settings for the time of the call.
        let all = unsafe { std::slice::from_raw_parts(self.0.settings, self.0.setting_count) };
        let read = |text: Text| {
            // SAFETY: as above.
            let bytes = unsafe { text.bytes() }.unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        all.iter().map(|Setting { name, value }| (read(*name), read(*value))).collect()
    }

    pub(crate) fn rewrites_left(self) -> Option<u64> {
        Some(self.0.rewrites_left).filter(|left| *left != u64::MAX)
    }

    pub(crate) fn answer(self, module: &str) {
        // SAFETY: the host copies the text before it returns.
        unsafe { (self.0.answer)(self.0.host, Text::of(module.as_bytes())) }
    }

    pub(crate) fn fail(self, message: &str) {
        // SAFETY: as above.
        unsafe { (self.0.fail)(self.0.host, Text::of(message.as_bytes())) }
    }

    /// Tells the host of a weight; the digest is the same on both sides.
    pub(crate) fn add_weight(self, tensor: &Tensor) -> Result<(), String> {
        let ty = TensorType::fixed(tensor.dtype(), tensor.dims()).to_string();
        let (ty, bytes) = (Text::of(ty.as_bytes()), Text::of(tensor.data()));
        let mut digest = [0; 32];
        // SAFETY: as above; the digest has room for the 32 bytes that are written.
        let taken = unsafe { (self.0.add_weight)(self.0.host, ty, bytes, digest.as_mut_ptr()) };
        match taken != 0 && digest == *tensor.digest() {
            true => Ok(()),
            false => Err("the host did not take a new weight as it is".to_string()),
        }
    }
}

/// The weights of the module, asked for once each.
pub(crate) struct Weights<'c> {
    lent: Lent<'c>,
    known: RefCell<BTreeSet<[u8; 32]>>,
}

impl<'c> Weights<'c> {
    pub(crate) fn new(lent: Lent<'c>) -> Self {
        Self { lent, known: RefCell::default() }
    }

    /// Whether the host has it, because it is from there.
    pub(crate) fn knows(&self, tensor: &Tensor) -> bool {
        self.known.borrow().contains(tensor.digest())
    }
}

impl WeightSource for Weights<'_> {
    fn get(&self, digest: &[u8; 32], ty: &TensorType) -> Option<Arc<Tensor>> {
        // SAFETY: the host lends the bytes for the time of the call; they are copied, as nothing
        // keeps a pass from holding on to a tensor for longer.
        let bytes = unsafe { (self.lent.0.weight)(self.lent.0.host, digest.as_ptr()).bytes() }?;
        let tensor = Tensor::new(ty.dtype, ty.static_dims()?, bytes.to_vec().into()).ok()?;
        self.known.borrow_mut().insert(*digest);
        Some(Arc::new(tensor))
    }
}

impl Observer for Lent<'_> {
    fn rewrote(&mut self, _: &str, at: &str, _: u64) {
        // SAFETY: the host copies the text before it returns.
        unsafe { (self.0.rewrote)(self.0.host, Text::of(at.as_bytes())) }
    }

    fn declined(&mut self, _: &str, at: &str, why: &Declined) {
        let why = why.to_string();
        // SAFETY: as above.
        unsafe { (self.0.declined)(self.0.host, Text::of(at.as_bytes()), Text::of(why.as_bytes())) }
    }
}
