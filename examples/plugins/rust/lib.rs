//! Writes the logarithm of a softmax as one operator.
//!
//! Before: `%p = Softmax(%x)`, `%y = Log(%p)`. After: `%y = LogSoftmax(%x)`.
//!
//! A probability below 1e-45 rounds to zero, and its logarithm to minus infinity; `LogSoftmax` never
//! makes the probability. A softmax that something else uses is left alone: it would be computed
//! twice.
use weft_ir::{NodeId, Stage};
use weft_passes::{
    Declined, EachNode, PassInfo, PassKind, Plugin, PluginInfo, RegisterError, Registrar, Rewriter, node,
};

/// The plugin.
pub struct StableLog;

impl Plugin for StableLog {
    fn info(&self) -> PluginInfo {
        let version = env!("CARGO_PKG_VERSION");
        PluginInfo { name: "stable-log", version, summary: "logarithms that keep their digits" }
    }

    fn register(&self, registrar: &mut Registrar) -> Result<(), RegisterError> {
        registrar.pass(LOG_OF_SOFTMAX, include_str!("lib.rs"));
        Ok(())
    }
}

const LOG_OF_SOFTMAX: PassInfo = PassInfo {
    name: "log-of-softmax",
    summary: "writes the logarithm of a softmax as one operator",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Canonical),
    build: &|_| Ok(Box::new(EachNode(rewrite))),
};

fn rewrite(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "Log") {
        return Ok(());
    }
    let Some(probabilities) = g.operand(id, 0) else { return Ok(()) };
    let Some(softmax) = g.made_by(probabilities, "Softmax") else { return Ok(()) };
    if !g.used_once(probabilities) {
        return Err("the softmax has other uses".into());
    }
    let mut log = node("LogSoftmax", []);
    log.attrs = g.node(softmax).attrs.clone();
    let operands = g.operands(softmax);
    let log = g.add(log, &operands)?;
    g.replace(g.result(id), log);
    Ok(())
}

#[cfg(feature = "library")]
weft_abi::export!(StableLog);
