//! The e-graph as rules see it.
use crate::facts::Classes;
use crate::lang::Head;
use egg::Id;
use std::collections::BTreeMap;
use weft_ir::{Fact, OpName, OpSet};
use weft_passes::rule;
use weft_rewrite::{Maker, Scene};

/// The e-graph as rules see it, rebuilt and not changing while it is looked at.
pub(crate) struct View<'v, 'a>(pub(crate) &'v Classes<'a>);

/// The members of one class that are looked at for a further pattern.
const WIDEST: usize = 64;

impl Scene for View<'_, '_> {
    type Value = Id;

    fn ops(&self) -> &OpSet {
        self.0.analysis.ops
    }

    fn fact(&self, value: Id) -> Option<&Fact> {
        self.0[value].data.facts.first()
    }

    fn use_count(&self, _: Id) -> usize {
        // What is used elsewhere as well stays, and extraction weighs that.
        1
    }

    fn makers(&self, value: Id, made: &rule::Made) -> Vec<Maker<'_, Id>> {
        let mut makers = Vec::new();
        for node in &self.0[value].nodes {
            match self.0.analysis.heads.of(node) {
                Some(Head::Made(one)) if one.results == 1 && made.result == 0 => {
                    makers.extend(self.maker(node, made));
                }
                Some(Head::Result(slot)) if *slot == made.result => {
                    let all = node.children.iter().flat_map(|child| &self.0[*child].nodes);
                    makers.extend(all.filter_map(|node| self.maker(node, made)));
                }
                _ => {}
            }
        }
        makers
    }

    fn made_of(&self, value: Id, made: &rule::Made) -> Vec<Id> {
        let mut found = Vec::new();
        for user in self.users(value).into_iter().take(WIDEST) {
            let (mut is_one, mut is_all) = (false, false);
            for one in self.0[user].nodes.iter().filter_map(|node| self.0.analysis.heads.made(node)) {
                is_one |= one.op == made.op && one.results == 1 && made.result == 0;
                is_all |= one.op == made.op && one.results > 1;
            }
            found.extend(is_one.then_some(user));
            if is_all {
                found.extend(self.users(user).into_iter().filter(|id| self.is_result(*id, made.result)));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl<'v> View<'v, '_> {
    fn maker(&self, node: &crate::lang::ENode, made: &rule::Made) -> Option<Maker<'v, Id>> {
        let classes = self.0;
        let one = classes.analysis.heads.made(node).filter(|one| one.op == made.op)?;
        let children: Vec<Id> = node.children.iter().map(|child| classes.find(*child)).collect();
        Some(Maker { op: &one.op, attrs: &one.attrs, operands: one.operands(&children) })
    }

    /// The classes that a class is a child in, in order and each once.
    pub(crate) fn users(&self, id: Id) -> Vec<Id> {
        let mut users: Vec<Id> = self.0[id].parents().map(|parent| self.0.find(parent)).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// Whether a class is one result of an operator with several.
    pub(crate) fn is_any_result(&self, id: Id) -> bool {
        self.0[id].nodes.iter().any(|node| matches!(self.0.analysis.heads.of(node), Some(Head::Result(_))))
    }

    fn is_result(&self, id: Id, slot: u32) -> bool {
        self.0[id].nodes.iter().any(|node| self.0.analysis.heads.of(node) == Some(&Head::Result(slot)))
    }

    /// The classes in which a result of an operator is, by operator and result.
    pub(crate) fn index(&self) -> BTreeMap<(OpName, u32), Vec<Id>> {
        let mut index: BTreeMap<(OpName, u32), Vec<Id>> = BTreeMap::new();
        let mut ids: Vec<Id> = self.0.classes().map(|class| class.id).collect();
        ids.sort_unstable();
        for id in ids {
            for node in &self.0[id].nodes {
                let (slot, all) = match self.0.analysis.heads.of(node) {
                    Some(Head::Made(made)) if made.results == 1 => (0, vec![node]),
                    Some(Head::Result(slot)) => {
                        (*slot, node.children.iter().flat_map(|child| &self.0[*child].nodes).collect())
                    }
                    _ => continue,
                };
                for made in all.into_iter().filter_map(|node| self.0.analysis.heads.made(node)) {
                    let classes = index.entry((made.op.clone(), slot)).or_default();
                    if classes.last() != Some(&id) {
                        classes.push(id);
                    }
                }
            }
        }
        index
    }
}
