//! One call of a function in a library: what is lent to it, and what it said.
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr::from_ref;
use std::sync::Arc;
use weft_abi::{Call, Run, Setting, Text};
use weft_ir::text::{parse_type, weights_by_digest};
use weft_ir::{Module, Tensor};

/// What a library said during a call.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// The module it gave back.
    pub(crate) answer: Option<Vec<u8>>,
    failure: Option<String>,
    /// Where it rewrote something.
    pub(crate) rewrites: Vec<String>,
    /// Where it did not, and why.
    pub(crate) declined: Vec<(String, String)>,
    /// The weights that its answer may name.
    pub(crate) weights: BTreeMap<[u8; 32], Arc<Tensor>>,
}

impl Said {
    /// Takes a weight in. One that is there already stays: its bytes may be lent.
    fn keep(&mut self, digest: [u8; 32], tensor: Arc<Tensor>) {
        self.weights.entry(digest).or_insert(tensor);
    }

    /// Why it failed.
    pub(crate) fn why(&self) -> String {
        self.failure.clone().unwrap_or_else(|| "it fails and does not say why".to_string())
    }
}

/// A call that is about to be made, or going on.
#[derive(Debug, Default)]
pub(crate) struct Exchange(RefCell<Said>);

impl Exchange {
    /// One about this module.
    pub(crate) fn of(module: &Module) -> Self {
        Self(RefCell::new(Said { weights: weights_by_digest(module), ..Said::default() }))
    }

    /// Makes the call; gives the status, and what the library said.
    pub(crate) fn call(
        self,
        run: Run,
        data: *const c_void,
        (module, operators): (&str, &str),
        settings: &[(String, String)],
        rewrites_left: Option<u64>,
    ) -> (i32, Said) {
        let text = |text: &str| Text::of(text.as_bytes());
        let setting = |(name, value): &(String, String)| Setting { name: text(name), value: text(value) };
        let settings: Vec<Setting> = settings.iter().map(setting).collect();
        let call = Call {
            size: size_of::<Call>(),
            host: from_ref(&self).cast_mut().cast(),
            module: text(module),
            settings: settings.as_ptr(),
            setting_count: settings.len(),
            rewrites_left: rewrites_left.unwrap_or(u64::MAX),
            answer,
            fail,
            rewrote,
            declined,
            weight,
            add_weight,
            operators: text(operators),
        };
        // SAFETY: the function is from a table that passed the handshake, `data` belongs to it, and
        // all that the call points to is there until it returns.
        let status = unsafe { run(data, &call) };
        (status, self.0.into_inner())
    }
}

/// What is said to the call that is going on.
///
/// # Safety
/// `host` is the field of that name of a call that has not returned.
unsafe fn said<T>(host: *mut c_void, take: impl FnOnce(&mut Said) -> T) -> Option<T> {
    // SAFETY: the caller's promise.
    let exchange = unsafe { host.cast::<Exchange>().as_ref() }?;
    exchange.0.try_borrow_mut().ok().map(|mut said| take(&mut said))
}

/// # Safety
/// Unless it is empty, the text is there during this call.
unsafe fn words(text: Text) -> String {
    // SAFETY: the caller's promise.
    String::from_utf8_lossy(unsafe { text.bytes() }.unwrap_or_default()).into_owned()
}

unsafe extern "C" fn answer(host: *mut c_void, module: Text) {
    // SAFETY: the library keeps the rules of the header, here and below.
    let bytes = unsafe { module.bytes() }.map(<[u8]>::to_vec);
    let _ = unsafe { said(host, |said| said.answer = bytes) };
}

unsafe extern "C" fn fail(host: *mut c_void, message: Text) {
    // SAFETY: as for `answer`.
    let message = unsafe { words(message) };
    let _ = unsafe { said(host, |said| said.failure = Some(message)) };
}

unsafe extern "C" fn rewrote(host: *mut c_void, at: Text) {
    // SAFETY: as for `answer`.
    let at = unsafe { words(at) };
    let _ = unsafe { said(host, |said| said.rewrites.push(at)) };
}

unsafe extern "C" fn declined(host: *mut c_void, at: Text, why: Text) {
    // SAFETY: as for `answer`.
    let reason = unsafe { (words(at), words(why)) };
    let _ = unsafe { said(host, |said| said.declined.push(reason)) };
}

unsafe extern "C" fn weight(host: *mut c_void, digest: *const u8) -> Text {
    // SAFETY: as for `answer`; a digest has 32 bytes.
    let digest = unsafe { digest.cast::<[u8; 32]>().as_ref() };
    let found = digest.and_then(|digest| {
        // The tensor stays in the map until the call is over.
        let lend = |said: &mut Said| said.weights.get(digest).map(|tensor| Text::of(tensor.data()));
        // SAFETY: as for `answer`.
        unsafe { said(host, lend) }.flatten()
    });
    found.unwrap_or(Text::NONE)
}

unsafe extern "C" fn add_weight(host: *mut c_void, ty: Text, bytes: Text, digest: *mut u8) -> i32 {
    // SAFETY: as for `answer`.
    let (ty, bytes) = unsafe { (words(ty), bytes.bytes()) };
    let Some(tensor) = bytes.and_then(|bytes| tensor(&ty, bytes)) else { return 0 };
    let found = *tensor.digest();
    // SAFETY: as for `answer`; a digest has room for 32 bytes.
    unsafe {
        digest.copy_from(found.as_ptr(), found.len());
        i32::from(said(host, |said| said.keep(found, tensor)).is_some())
    }
}

/// The tensor of a type like `f32[64, 3]` and its bytes.
fn tensor(ty: &str, bytes: &[u8]) -> Option<Arc<Tensor>> {
    let ty = parse_type(ty).ok()?;
    Tensor::new(ty.dtype, ty.static_dims()?, bytes.to_vec().into()).ok().map(Arc::new)
}
