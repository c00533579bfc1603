//! The rules there are, and the functions and conditions they are written with.
use super::function::Function;
use super::{Aim, RewriteRule};
use crate::registry::RegisterError;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Rules, functions and conditions by name; cheap to clone.
#[derive(Clone, Default)]
pub struct Rules(Arc<Tables>);

#[derive(Clone, Default)]
struct Tables {
    rules: BTreeMap<String, Arc<dyn RewriteRule>>,
    functions: BTreeMap<&'static str, Function>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rules").field(&self.0.rules.keys()).finish()
    }
}

impl Rules {
    /// Takes a rule in. It must not be named like another one or like a family.
    pub fn add(&mut self, rule: Arc<dyn RewriteRule>) -> Result<(), RegisterError> {
        let info = rule.info();
        let clash = |name: &str| self.get(name).is_some() || self.iter().any(|r| r.info().family == name);
        if clash(&info.name) || self.get(&info.family).is_some() || info.name == info.family {
            return Err(RegisterError::Rule(info.name.clone()));
        }
        let name = info.name.clone();
        Arc::make_mut(&mut self.0).rules.insert(name, rule);
        Ok(())
    }

    /// Takes a function or a condition in.
    pub fn add_function(&mut self, function: Function) -> Result<(), RegisterError> {
        if self.function(function.name).is_some() {
            return Err(RegisterError::Function(function.name.to_string()));
        }
        Arc::make_mut(&mut self.0).functions.insert(function.name, function);
        Ok(())
    }

    /// The rule of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn RewriteRule>> {
        self.0.rules.get(name)
    }

    /// All rules, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn RewriteRule>> {
        self.0.rules.values()
    }

    /// The rule of that name or those of the family of that name, `all` being every family. Of a
    /// family those that [`Aim::Improve`] and, for an engine that weighs alternatives, the others.
    pub fn named(&self, name: &str, engine: Aim) -> Vec<Arc<dyn RewriteRule>> {
        let improves =
            |rule: &&Arc<dyn RewriteRule>| engine == Aim::Explore || rule.info().aim == Aim::Improve;
        match self.get(name) {
            Some(rule) => vec![rule.clone()],
            None if name == "all" => self.iter().filter(improves).cloned().collect(),
            None => self.iter().filter(|r| r.info().family == name).filter(improves).cloned().collect(),
        }
    }

    /// The names that [`Rules::named`] knows.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().flat_map(|rule| [rule.info().name.as_str(), rule.info().family.as_str()]).chain(["all"])
    }

    /// The function or condition of that name.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.0.functions.get(name)
    }

    /// All functions and conditions, by name.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.0.functions.values()
    }
}
