"""Types, opsets and attributes that a file declares in one place and contradicts in another."""

from __future__ import annotations

from pathlib import Path

from building import FLOAT, INT64, VALID, case, const, graph, model, node, value
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, ValueInfoProto, helper


def branch(nodes: list[NodeProto], declared: ValueInfoProto) -> GraphProto:
    """A branch of an If with one output."""
    return graph(nodes, [], [declared], name="branch")


def choice(then: GraphProto, other: GraphProto) -> ModelProto:
    """A model that is one If whose condition is an input."""
    inputs = [value("x"), helper.make_tensor_value_info("t", 9, [])]
    return model([node("If", "t", then_branch=then, else_branch=other)], inputs)


def looping(state: ValueInfoProto) -> ModelProto:
    """A model that is one Loop whose body declares its carried input so."""
    body_inputs = [value("i", [], INT64), helper.make_tensor_value_info("go", 9, []), state]
    body_outputs = [helper.make_tensor_value_info("go_on", 9, []), value("state_out")]
    nodes = [node("Identity", "go", "go_on"), node("Relu", state.name, "state_out")]
    body = graph(nodes, body_inputs, body_outputs, name="body")
    return model([node("Loop", "n _ x", body=body)], weights=[const("n", 3)])


def function(nodes: list[NodeProto], **attributes: list[str]) -> FunctionProto:
    """A local function F from a to b."""
    return helper.make_function("local", "F", ["a"], ["b"], nodes, [helper.make_opsetid("", 20)], **attributes)


def leaky(inputs: str, result: str, reference: str) -> NodeProto:
    """A LeakyRelu whose alpha is a reference."""
    made = node("LeakyRelu", inputs, result, alpha=0.5)
    made.attribute[0].ClearField("f")
    made.attribute[0].ref_attr_name = reference
    return made


@case("m")
def value_declared_with_another_type(_: Path) -> ModelProto:
    made = model([node("Relu", "x", "m"), node("Neg", "m")])
    made.graph.value_info.append(value("m", [2, 3], INT64))
    return made


@case("w")
def weight_declared_with_another_type(_: Path) -> ModelProto:
    return model([node("Relu", "x")], outputs=[value("y"), value("w", [1], FLOAT)], weights=[const("w", [1])])


@case("x")
def input_declared_with_another_type_as_output(_: Path) -> ModelProto:
    return model([node("Relu", "x")], outputs=[value("y"), value("x", [2, 3], INT64)])


@case("r")
def output_of_a_branch_declared_with_another_type(_: Path) -> ModelProto:
    right = branch([node("Neg", "x", "r")], value("r"))
    wrong = branch([node("Relu", "x", "r")], value("r", [2, 3], INT64))
    return choice(right, wrong)


@case("s")
def input_of_a_body_declared_with_another_type(_: Path) -> ModelProto:
    return looping(value("s", [2, 3], INT64))


@case("s", ends=VALID, runs=True)
def input_of_a_body_declared_as_it_is(_: Path) -> ModelProto:
    return looping(value("s"))


@case("y")
def result_of_a_call_declared_with_another_type(_: Path) -> ModelProto:
    call = node("F", "x", domain="local")
    return model([call], outputs=[value("y", [2, 3], INT64)], functions=[function([node("Relu", "a", "b")])])


@case("alpha")
def attribute_reference_that_the_function_lacks(_: Path) -> ModelProto:
    made = function([leaky("a", "b", "slope")], attributes=["steepness"])
    return model([node("F", "x", domain="local")], functions=[made])


@case("alpha", ends=VALID, runs=True)
def attribute_reference_that_the_call_leaves_out(_: Path) -> ModelProto:
    made = function([leaky("a", "b", "slope")], attributes=["slope"])
    return model([node("F", "x", domain="local")], functions=[made])


@case("alpha")
def attribute_reference_in_a_branch_outside_a_function(_: Path) -> ModelProto:
    return choice(branch([leaky("x", "r", "slope")], value("r")), branch([node("Neg", "x", "r")], value("r")))


@case("cycle")
def cycle_in_a_branch(_: Path) -> ModelProto:
    return choice(branch([node("Add", "x r", "r")], value("r")), branch([node("Neg", "x", "r")], value("r")))


@case("cycle")
def cycle_in_a_function(_: Path) -> ModelProto:
    return model([node("F", "x", domain="local")], functions=[function([node("Add", "a b", "b")])])


@case("F")
def two_opsets_of_one_domain_in_a_function(_: Path) -> ModelProto:
    made = function([node("Relu", "a", "b")])
    made.opset_import.add(domain="", version=7)
    return model([node("F", "x", domain="local")], functions=[made])


@case("ai.onnx")
def two_opsets_of_the_two_names_of_one_domain(_: Path) -> ModelProto:
    made = model([node("Relu", "x")])
    made.opset_import.add(domain="ai.onnx", version=7)
    return made


@case("ai.onnx", ends=VALID)
def one_opset_under_two_names(_: Path) -> ModelProto:
    made = model([node("Relu", "x")])
    made.opset_import.add(domain="ai.onnx", version=20)
    return made
