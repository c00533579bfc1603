//! Attributes of a node, each marked when somebody reads it: what nobody read was not understood.
use crate::proto::attribute_proto::AttributeType;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use std::cell::Cell;
use std::collections::BTreeMap;
use weft_frontend::Cause;

/// What the attributes of a function are bound to where it is called; nothing, where the call leaves one
/// out. The graph itself has none.
pub(crate) type Bound<'a> = BTreeMap<&'a str, Option<&'a AttributeProto>>;

/// The attributes of one node.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    entries: BTreeMap<&'a str, Entry<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    proto: &'a AttributeProto,
    read: Cell<bool>,
}

impl<'a> Attributes<'a> {
    /// The attributes of `node`, references resolved by `bound`; a reference to what the call
    /// left out is an attribute that was not given.
    pub(crate) fn of(node: &'a NodeProto, bound: &Bound<'a>) -> Result<Self, Cause> {
        let mut entries = BTreeMap::new();
        for proto in &node.attribute {
            let name = proto.name();
            let Some(proto) = referred(proto, bound)? else { continue };
            if entries.insert(name, Entry { proto, read: Cell::new(false) }).is_some() {
                return Err(Cause::invalid(format!("attribute `{name}` is given twice")));
            }
        }
        Ok(Self { entries })
    }

    /// Each attribute as it stands in the file, by name. Marks nothing.
    pub(crate) fn bindings(&self) -> BTreeMap<&'a str, &'a AttributeProto> {
        self.entries.iter().map(|(name, entry)| (*name, entry.proto)).collect()
    }

    /// The attributes nobody read.
    pub(crate) fn unread(&self) -> Vec<&'a str> {
        self.entries.iter().filter(|(_, entry)| !entry.read.get()).map(|(name, _)| *name).collect()
    }

    /// Whether the attribute is given. Marks nothing.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Marks an attribute as understood whatever it says.
    pub(crate) fn ignore(&self, name: &str) {
        if let Some(entry) = self.entries.get(name) {
            entry.read.set(true);
        }
    }

    fn get(&self, name: &str, kind: AttributeType) -> Result<Option<&'a AttributeProto>, Cause> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        entry.read.set(true);
        let found = kind_of(entry.proto);
        if found == kind {
            return Ok(Some(entry.proto));
        }
        let (found, expected) = (found.as_str_name(), kind.as_str_name());
        Err(Cause::invalid(format!("attribute `{name}` is of kind {found}, expected {expected}")))
    }

    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>, Cause> {
        Ok(self.get(name, AttributeType::Int)?.map(AttributeProto::i))
    }

    pub(crate) fn float(&self, name: &str) -> Result<Option<f32>, Cause> {
        Ok(self.get(name, AttributeType::Float)?.map(AttributeProto::f))
    }

    pub(crate) fn str(&self, name: &str) -> Result<Option<&'a str>, Cause> {
        let Some(found) = self.get(name, AttributeType::String)? else { return Ok(None) };
        utf8(name, found.s()).map(Some)
    }

    pub(crate) fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, Cause> {
        Ok(self.get(name, AttributeType::Ints)?.map(|found| found.ints.as_slice()))
    }

    pub(crate) fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, Cause> {
        Ok(self.get(name, AttributeType::Floats)?.map(|found| found.floats.as_slice()))
    }

    pub(crate) fn strs(&self, name: &str) -> Result<Option<Vec<String>>, Cause> {
        let Some(found) = self.get(name, AttributeType::Strings)? else { return Ok(None) };
        found
            .strings
            .iter()
            .map(|text| utf8(name, text).map(str::to_string))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    pub(crate) fn tensor(&self, name: &str) -> Result<Option<&'a TensorProto>, Cause> {
        Ok(self.get(name, AttributeType::Tensor)?.and_then(|found| found.t.as_ref()))
    }

    pub(crate) fn graph(&self, name: &str) -> Result<&'a GraphProto, Cause> {
        let found = self.get(name, AttributeType::Graph)?.and_then(|found| found.g.as_ref());
        found.ok_or_else(|| Cause::invalid(format!("attribute `{name}` is missing")))
    }
}

/// The attribute itself, or the one of the function around it that it refers to.
fn referred<'a>(proto: &'a AttributeProto, bound: &Bound<'a>) -> Result<Option<&'a AttributeProto>, Cause> {
    let reference = proto.ref_attr_name();
    if reference.is_empty() {
        return Ok(Some(proto));
    }
    bound.get(reference).copied().ok_or_else(|| {
        let name = proto.name();
        Cause::invalid(format!("attribute `{name}` refers to `{reference}`, which no function around it has"))
    })
}

fn utf8<'a>(name: &str, text: &'a [u8]) -> Result<&'a str, Cause> {
    std::str::from_utf8(text).map_err(|_| Cause::invalid(format!("attribute `{name}` is not UTF-8")))
}

/// What an attribute holds. Files of before IR version 2 do not say, so it is seen from the data.
fn kind_of(proto: &AttributeProto) -> AttributeType {
    let seen = [
        (proto.f.is_some(), AttributeType::Float),
        (proto.i.is_some(), AttributeType::Int),
        (proto.s.is_some(), AttributeType::String),
        (proto.t.is_some(), AttributeType::Tensor),
        (proto.g.is_some(), AttributeType::Graph),
        (!proto.floats.is_empty(), AttributeType::Floats),
        (!proto.ints.is_empty(), AttributeType::Ints),
        (!proto.strings.is_empty(), AttributeType::Strings),
    ];
    match proto.r#type() {
        AttributeType::Undefined => {
            seen.iter().find(|(there, _)| *there).map_or(AttributeType::Undefined, |(_, kind)| *kind)
        }
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str) -> AttributeProto {
        AttributeProto { name: Some(name.into()), ..Default::default() }
    }

    #[test]
    fn what_was_not_read_is_listed() {
        let alpha = AttributeProto { f: Some(0.5), ..attribute("alpha") };
        let node = NodeProto { attribute: vec![alpha, attribute("odd")], ..Default::default() };
        let attributes = Attributes::of(&node, &Bound::new()).unwrap();
        assert_eq!(attributes.float("alpha"), Ok(Some(0.5)));
        assert_eq!(attributes.int("axis"), Ok(None));
        assert_eq!(attributes.unread(), ["odd"]);
    }

    #[test]
    fn kinds_are_checked() {
        let axis =
            AttributeProto { f: Some(0.5), r#type: Some(AttributeType::Float as i32), ..attribute("axis") };
        let node = NodeProto { attribute: vec![axis], ..Default::default() };
        let error = Attributes::of(&node, &Bound::new()).unwrap().int("axis").unwrap_err();
        assert_eq!(error.to_string(), "invalid: attribute `axis` is of kind FLOAT, expected INT");
    }

    #[test]
    fn references_take_what_the_call_gives() {
        let given = AttributeProto { i: Some(3), ..attribute("outer") };
        let bound = Bound::from([("outer", Some(&given)), ("absent", None)]);
        let reference = |name: &str, to: &str| AttributeProto {
            ref_attr_name: Some(to.into()),
            r#type: Some(AttributeType::Int as i32),
            ..attribute(name)
        };
        let attribute = vec![reference("axis", "outer"), reference("k", "absent")];
        let node = NodeProto { attribute, ..Default::default() };
        let attributes = Attributes::of(&node, &bound).unwrap();
        assert_eq!(attributes.int("axis"), Ok(Some(3)));
        assert_eq!(attributes.int("k"), Ok(None));
        assert!(attributes.unread().is_empty());
        let error = Attributes::of(&node, &Bound::new()).unwrap_err();
        let expected = "invalid: attribute `axis` refers to `outer`, which no function around it has";
        assert_eq!(error.to_string(), expected);
    }
}
