"""Graphs whose names, operators, attributes or regions do not fit together; and huge ones that are right."""

from __future__ import annotations

from pathlib import Path

from building import EITHER, FLOAT, INT64, VALID, case, const, field, graph, model, node, value
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, helper


@case("output", "node", "graph", ends=EITHER)
def empty_graph(_: Path) -> ModelProto:
    return model([], [], [])


@case("y")
def output_never_made(_: Path) -> ModelProto:
    return model([node("Relu", "x", "z")])


@case("nowhere")
def undefined_operand(_: Path) -> ModelProto:
    return model([node("Add", "x nowhere")])


@case("cycle", "order", "defined", "before")
def cycle_of_two(_: Path) -> ModelProto:
    return model([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b")])


@case("cycle", "order", "defined", "before", "y")
def node_that_reads_itself(_: Path) -> ModelProto:
    return model([node("Add", "x y")])


@case("y", "twice", "duplicate")
def result_made_twice(_: Path) -> ModelProto:
    return model([node("Relu", "x"), node("Neg", "x")])


@case("y", "twice", "duplicate")
def result_twice_in_one_node(_: Path) -> ModelProto:
    return model([node("Split", "x", "y y", axis=0, num_outputs=2)])


@case("x", "twice", "duplicate")
def input_twice(_: Path) -> ModelProto:
    return model([node("Relu", "x")], [value("x"), value("x", [4])])


@case("w", "twice", "duplicate")
def weight_twice(_: Path) -> ModelProto:
    weights = [const("w", [1.0], "float32"), const("w", [2.0], "float32")]
    return model([node("Add", "x w")], weights=weights)


@case("w", "twice", "duplicate")
def result_named_like_a_weight(_: Path) -> ModelProto:
    weights = [const("w", [1.0], "float32")]
    return model([node("Relu", "x", "w"), node("Relu", "w")], weights=weights)


@case("cycle", "order", "defined", "before", ends=EITHER)
def nodes_out_of_order(_: Path) -> ModelProto:
    return model([node("Relu", "a"), node("Neg", "x", "a")])


@case("Frobnicate")
def unknown_operator(_: Path) -> ModelProto:
    return model([node("Frobnicate", "x")])


@case("the_", "operator", "op_type")
def operator_without_a_name(_: Path) -> ModelProto:
    return model([node("", "x")])


@case("acme", "Relu")
def unknown_domain(_: Path) -> ModelProto:
    made = model([node("Relu", "x", domain="acme.example")])
    made.opset_import.add(domain="acme.example", version=1)
    return made


@case("acme", "opset")
def domain_without_an_opset(_: Path) -> ModelProto:
    return model([node("Relu", "x", domain="acme.example")])


@case("colour")
def unknown_attribute(_: Path) -> ModelProto:
    return model([node("Relu", "x", colour=3)])


@case("alpha")
def attribute_of_the_wrong_type(_: Path) -> ModelProto:
    return model([node("LeakyRelu", "x", alpha="steep")])


@case("alpha")
def attribute_twice(_: Path) -> ModelProto:
    leaky = node("LeakyRelu", "x", alpha=0.5)
    leaky.attribute.append(helper.make_attribute("alpha", 0.25))
    return model([leaky])


@case("alpha", "type")
def attribute_of_an_unknown_type(_: Path) -> ModelProto:
    leaky = node("LeakyRelu", "x", alpha=0.5)
    leaky.attribute[0].ClearField("type")
    leaky.attribute[0].ClearField("f")
    return model([leaky])


@case("alpha", "ref_attr", "function")
def attribute_reference_outside_a_function(_: Path) -> ModelProto:
    leaky = node("LeakyRelu", "x", alpha=0.5)
    leaky.attribute[0].ref_attr_name = "outer"
    return model([leaky])


@case("to")
def required_attribute_missing(_: Path) -> ModelProto:
    return model([node("Cast", "x")])


@case("Add")
def too_few_operands(_: Path) -> ModelProto:
    return model([node("Add", "x")])


@case("Add")
def required_operand_left_out(_: Path) -> ModelProto:
    return model([node("Add", "x _")])


@case("Relu")
def too_many_operands(_: Path) -> ModelProto:
    return model([node("Relu", "x x x")])


@case("Relu")
def too_many_results(_: Path) -> ModelProto:
    return model([node("Relu", "x", "y z")])


def branch(nodes: list[NodeProto], name: str = "b", dtype: int = FLOAT) -> GraphProto:
    """A branch of an If with one result called like the branch."""
    return graph(nodes, [], [helper.make_tensor_value_info(name, dtype, None)], name=name)


def choice(then: GraphProto | None, other: GraphProto | None) -> ModelProto:
    """A model that is one If."""
    branches = {"then_branch": then, "else_branch": other}
    given = {key: made for key, made in branches.items() if made is not None}
    return model([node("If", "c", **given)], [value("c", [], TensorProto.BOOL), value("x")])


@case("else_branch")
def if_without_else(_: Path) -> ModelProto:
    return choice(branch([node("Relu", "x", "b")]), None)


@case("If", "branch")
def if_with_branches_of_two_types(_: Path) -> ModelProto:
    return choice(branch([node("Relu", "x", "b")]), branch([node("Cast", "x", "b", to=INT64)], dtype=INT64))


@case("If", "branch")
def if_with_branches_of_two_lengths(_: Path) -> ModelProto:
    longer = graph([node("Relu", "x", "b"), node("Neg", "x", "c2")], [], [value("b"), value("c2")])
    return choice(branch([node("Relu", "x", "b")]), longer)


@case("recursion", "nest", "deep", "depth", "protobuf")
def if_5000_deep(_: Path) -> bytes:
    """Node: input 1, output 2, op_type 4, attribute 5. Attribute: name 1, graph 6, type 20. Graph: node 1, output 12."""
    def region(inside: bytes) -> bytes:
        return field(1, inside) + field(2, b"r") + field(12, field(1, b"y"))

    inside = field(1, b"x") + field(2, b"y") + field(4, b"Relu")
    for _level in range(5000):
        held = field(1, b"then_branch") + field(6, region(inside)) + b"\xa0\x01\x05"
        inside = field(1, b"c") + field(2, b"y") + field(4, b"If") + field(5, held)
    return b"\x08\x0a" + field(7, region(inside)) + field(8, b"\x10\x14")


def loop(body: GraphProto, trips: int, carried: str = "x") -> ModelProto:
    """A model that is one Loop with a constant number of trips."""
    return model([node("Loop", f"n _ {carried}", body=body)], weights=[const("n", trips)])


def body(nodes: list[NodeProto], inputs: int = 3) -> GraphProto:
    """The body of a loop: iteration, condition, carried x1 -> condition, x2."""
    ports = [value("i", [], INT64), value("c", [], TensorProto.BOOL)]
    ports.append(helper.make_tensor_value_info("x1", FLOAT, None))
    nodes = [node("Identity", "c", "c2"), *nodes]
    results = [value("c2", [], TensorProto.BOOL), helper.make_tensor_value_info("x2", FLOAT, None)]
    return graph(nodes, ports[:inputs], results)


@case("Loop", ends=EITHER)
def loop_of_2e9_trips(_: Path) -> ModelProto:
    return loop(body([node("Neg", "x1", "x2")]), 2_000_000_000)


@case("Loop", ends=EITHER)
def loop_whose_shape_grows(_: Path) -> ModelProto:
    return loop(body([node("Concat", "x1 x1", "x2", axis=0)]), 1000)


@case("Loop", "body", "x1")
def loop_body_with_an_input_missing(_: Path) -> ModelProto:
    return loop(body([node("Neg", "x1", "x2")], inputs=2), 3)


@case("Loop", "body")
def loop_without_a_body(_: Path) -> ModelProto:
    return model([node("Loop", "n _ x")], weights=[const("n", 3)])


def function(name: str, nodes: list[NodeProto]) -> FunctionProto:
    """A local function from a to b."""
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]
    return helper.make_function("local", name, ["a"], ["b"], nodes, opsets)


@case("recursi", "cycle", "itself", "F")
def function_that_calls_itself(_: Path) -> ModelProto:
    made = function("F", [node("F", "a", "b", domain="local")])
    return model([node("F", "x", domain="local")], functions=[made])


@case("recursi", "cycle", "itself")
def functions_that_call_each_other(_: Path) -> ModelProto:
    first = function("F", [node("G", "a", "b", domain="local")])
    second = function("G", [node("F", "a", "b", domain="local")])
    return model([node("F", "x", domain="local")], functions=[first, second])


@case("recursi", "cycle", "itself")
def function_that_calls_itself_in_a_branch(_: Path) -> ModelProto:
    inside = [node("F", "a", "r", domain="local")]
    chosen = node("If", "t", "b", then_branch=branch(inside, "r"), else_branch=branch(inside, "r"))
    truth = helper.make_node("Constant", [], ["t"], value=const("t", True, "bool"))
    return model([node("F", "x", domain="local")], functions=[function("F", [truth, chosen])])


@case("function", "operator", "large", "nodes", "inlin", ends=EITHER)
def functions_that_double_40_times(_: Path) -> ModelProto:
    """Each function calls the next one twice: 2^40 nodes if inlined without a limit."""
    made = [function("F40", [node("Relu", "a", "b")])]
    for level in range(39, -1, -1):
        inner = f"F{level + 1}"
        calls = [node(inner, "a", "m", domain="local"), node(inner, "m", "b", domain="local")]
        made.append(function(f"F{level}", calls))
    return model([node("F0", "x", domain="local")], functions=made)


@case("nowhere")
def function_with_an_undefined_operand(_: Path) -> ModelProto:
    made = function("F", [node("Add", "a nowhere", "b")])
    return model([node("F", "x", domain="local")], functions=[made])


@case("F", "twice", "duplicate")
def function_twice(_: Path) -> ModelProto:
    made = function("F", [node("Relu", "a", "b")])
    return model([node("F", "x", domain="local")], functions=[made, made])


@case(ends=VALID, runs=True)
def chain_of_20000_nodes(_: Path) -> ModelProto:
    names = ["x", *(f"v{step}" for step in range(19_999)), "y"]
    pairs = zip(names, names[1:], strict=False)
    return model([node(("Neg", "Abs")[step % 2], a, b) for step, (a, b) in enumerate(pairs)])


@case(ends=VALID, runs=True)
def graph_of_2_to_64_paths(_: Path) -> ModelProto:
    names = ["x", *(f"v{step}" for step in range(63)), "y"]
    return model([node("Add", f"{a} {a}", b) for a, b in zip(names, names[1:], strict=False)])


@case(ends=VALID, runs=True)
def names_for_shells_and_paths(_: Path) -> ModelProto:
    evil = ["../../escaped", "$(touch pwned)", "`touch pwned`", "a;touch pwned", 'q"uo\'te', "new\nline", "%s%n", "@file", "-rf"]
    names = ["x", *evil, "y\x01/../pwned"]
    nodes = [helper.make_node("Neg", [a], [b], name=a) for a, b in zip(names, names[1:], strict=False)]
    made = model(nodes, [value("x")], [value(names[-1])])
    made.graph.name = "../$(touch pwned);--output=pwned"
    return made


@case(ends=VALID, runs=True)
def names_in_unicode(_: Path) -> ModelProto:
    made = model([node("Relu", "été", "число")], [value("été")], [value("число")])
    made.graph.name = "模型"
    return made


@case("name", "nul", "\\0", ends=EITHER, runs=True)
def names_with_nul(_: Path) -> ModelProto:
    return model([node("Relu", "a\0b", "y\0z")], [value("a\0b")], [value("y\0z")])


@case("name", "long", ends=EITHER, runs=True)
def name_of_a_mebibyte(_: Path) -> ModelProto:
    long = "n" * (1 << 20)
    return model([node("Relu", "x", long), node("Relu", long)])
