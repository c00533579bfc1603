//! Functions of the model, inlined where they are called.
use crate::attributes::{Attributes, Bound};
use crate::builder::{Builder, Stop};
use crate::frame::{Binding, Frame, Surroundings};
use crate::model::{domain, node_name, op_name, opsets};
use crate::names::nested;
use crate::proto::{FunctionProto, NodeProto};
use std::rc::Rc;
use weft_frontend::Cause;

/// Functions may call each other this deep.
const MAX_CALLS: usize = 64;

impl<'a> Builder<'_, 'a> {
    /// Begins to read the body of a function where a node calls it.
    pub(crate) fn enter(&mut self, node: &'a NodeProto, function: &'a FunctionProto) -> Result<(), Stop> {
        let around = self.inside(node, function)?;
        let mut frame = Frame::new(around);
        frame.leads_to(node, function.output.iter().map(String::as_str).collect(), self.frame());
        frame.add_hints(&function.value_info);
        if node.input.len() > function.input.len() {
            let (found, expected) = (node.input.len(), function.input.len());
            return Err(Cause::Invalid(format!("{found} operands, the function takes {expected}")).into());
        }
        for (i, formal) in function.input.iter().enumerate() {
            let binding = self.argument(node.input.get(i).map_or("", String::as_str))?;
            if frame.names.insert(formal, binding).is_some() {
                return Err(Cause::Invalid(format!("the function takes `{formal}` twice")).into());
            }
        }
        for (inner, outer) in function.output.iter().zip(&node.output).filter(|(_, outer)| !outer.is_empty())
        {
            frame.wanted.insert(inner, self.frame().wanted_name(outer));
        }
        self.frames.push(frame);
        self.queue(&function.node);
        Ok(())
    }

    /// What an operand of a call stands for.
    fn argument(&mut self, name: &'a str) -> Result<Binding, Stop> {
        if name.is_empty() {
            return Ok(Binding::Absent);
        }
        if let Some(list @ Binding::List(_)) = self.frame().names.get(name) {
            return Ok(list.clone());
        }
        match self.lookup(name) {
            Ok(value) => Ok(value.map_or(Binding::Absent, Binding::Value)),
            Err(Stop::Reported) => Ok(Binding::Broken),
            Err(because) => Err(because),
        }
    }

    fn inside(&self, node: &'a NodeProto, function: &'a FunctionProto) -> Result<Surroundings<'a>, Stop> {
        let around = &self.frame().around;
        let key = (domain(function.domain()), function.name(), function.overload());
        if around.active.contains(&key) {
            return Err(Cause::Invalid(format!("function `{}` calls itself", op_name(node))).into());
        }
        if around.active.len() == MAX_CALLS {
            return Err(Cause::Unsupported(format!("functions that call each other {MAX_CALLS} deep")).into());
        }
        let mut active = Vec::clone(&around.active);
        active.push(key);
        let mut versions = self.model.opsets.clone();
        versions.extend(opsets(&function.opset_import));
        Ok(Surroundings {
            opsets: Rc::new(versions),
            bound: Rc::new(bind_attributes(node, function, &around.bound)?),
            path: nested(&around.path, node_name(node)).into(),
            active: Rc::new(active),
        })
    }
}

/// What the attributes of a function stand for in one call.
fn bind_attributes<'a>(
    node: &'a NodeProto,
    function: &'a FunctionProto,
    outer: &Bound<'a>,
) -> Result<Bound<'a>, Cause> {
    let mut bound: Bound<'a> = function.attribute.iter().map(|name| (name.as_str(), None)).collect();
    bound.extend(function.attribute_proto.iter().map(|default| (default.name(), Some(default))));
    for (name, given) in Attributes::of(node, outer)?.bindings() {
        let slot = bound.get_mut(name);
        *slot.ok_or_else(|| Cause::Invalid(format!("the function has no attribute `{name}`")))? = Some(given);
    }
    Ok(bound)
}

#[cfg(test)]
mod tests;
