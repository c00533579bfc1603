//! What a pass, an analysis, an option and a pipeline are, and the one loop that runs them.
//!
//! No pass lives here. A pass changes a graph through the [`Editor`] alone; timing, dumps, diffs
//! and logs are [`Observer`]s and never part of a pass.
#![forbid(unsafe_code)]

mod affine;
mod against;
mod analysis;
mod append;
mod captures;
mod chosen;
mod cost;
mod cut;
mod editor;
mod ends;
mod facts;
mod findings;
mod formula;
mod ledger;
mod linear;
mod manager;
mod measure;
mod moments;
mod names;
mod nearest;
mod numbers;
mod observer;
mod options;
mod parse;
mod pass;
mod patterns;
mod perm;
mod pipeline;
mod plugin;
mod polynomial;
mod propose;
mod query;
mod registry;
mod reshape;
mod rewriter;
pub mod rule;
mod scope;
mod scoped;
mod settle;
mod trials;

pub use affine::{Channels, absorb, per_channel};
pub use analysis::{Analyses, Analysis};
pub use append::{append_node, masked};
pub use captures::Captures;
pub use chosen::Chosen;
pub use cost::{Applied, Cost, PlainCost, Speed, Work};
pub use cut::{Cut, cuts};
pub use editor::{Editor, GraphPath, graph_at, graph_paths};
pub use facts::{AllFacts, facts_of, infer, node_facts};
pub use findings::{Findings, Forgetful};
pub use formula::{Normalised, normalised};
pub use ledger::{
    ErrorBound, ErrorSum, LedgerEntry, LedgerLine, LedgerTrial, ModelError, TextError, ValueError,
};
pub use linear::{Linear, linears};
pub use manager::{Budget, Manager, RunError, VerifyEach};
pub use measure::{AsTheyStand, Constants, Measure, Ready, Store, Streamed, Tapped, TextPorts, Visit};
pub use moments::moments;
pub use nearest::nearest;
pub use numbers::{filled, floats, integers, permuted, scaled};
pub use observer::{Observer, Silent};
pub use options::{OptionError, OptionInfo, Options};
pub use pass::{
    Build, Declined, EachNode, Evaluate, Legality, Outcome, Pass, PassContext, PassError, PassInfo, PassKind,
};
pub use patterns::Names;
pub use perm::Perm;
pub use pipeline::{Pipeline, PipelineError, Plan, PlanStep, Step};
pub use plugin::{Added, Installed, Item, Kind, Plugin, PluginInfo, Registrar};
pub use polynomial::Polynomial;
pub use propose::{Decision, Proposal, changed_by, within};
pub use registry::{PipelineInfo, RegisterError, Registry};
pub use reshape::{Elided, Group, ShapeData, groups, reshaped, shape_data};
pub use rewriter::{Rewriter, node};
pub use scope::{Scope, own_scopes, scopes};
pub use scoped::{Scoped, in_scopes};
pub use trials::{Exchanged, Look, Masks, Trials};
