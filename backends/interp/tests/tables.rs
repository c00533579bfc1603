//! Every operator of the table has its papers and a function that computes it.

use std::collections::BTreeSet;
use weft_interp::Interpreter;
use weft_ir::OpSet;
use weft_ir::op::Presence;
use weft_ir::ops::FAMILIES;

#[test]
fn every_operator_is_known_to_the_interpreter() {
    let unknown: Vec<&str> =
        OpSet::builtin().iter().map(|def| def.name).filter(|name| !Interpreter::knows(name)).collect();
    assert_eq!(unknown, [""; 0]);
}

#[test]
fn tables_are_in_order() {
    let mut names = BTreeSet::new();
    for def in FAMILIES.iter().flat_map(|(_, defs)| defs.iter()) {
        let name = def.name;
        assert!(names.insert(name), "`{name}` stands twice");
        assert!(def.doc.ends_with('.') && def.doc.len() > 3, "`{name}` lacks a sentence");
        assert!(def.attrs.is_sorted_by_key(|a| a.name), "the attributes of `{name}` are not sorted");
        let variadic = def.operands.iter().position(|o| o.presence == Presence::Variadic);
        assert!(variadic.is_none_or(|at| at + 1 == def.operands.len()), "`{name}` is variadic in the middle");
        assert!(def.results.0 <= def.results.1, "`{name}` has no possible number of results");
    }
}
