"""Shapes, sizes and numbers that do not fit, wrap, or trap."""

from __future__ import annotations

from pathlib import Path

from building import EITHER, FLOAT, INT64, VALID, case, const, graph, model, node, value
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

INT32_MIN = -(1 << 31)
HUGE = 1 << 62


def with_weight(weight: TensorProto) -> ModelProto:
    """A model that adds a weight `w` to its input."""
    return model([node("Add", "x w")], weights=[weight])


def weight(dims: list[int], data: bytes, dtype: int = FLOAT) -> TensorProto:
    """A weight `w` whose dims and bytes need not agree."""
    return TensorProto(name="w", data_type=dtype, dims=dims, raw_data=data)


def sized(op: NodeProto, shapes: dict[str, list[int | str]], weights: list[TensorProto] | None = None) -> ModelProto:
    """A model of one node with inputs of these shapes."""
    inputs: list[ValueInfoProto] = [value(name, shape) for name, shape in shapes.items()]
    return model([op], inputs, weights=weights)


@case("w")
def weight_with_too_few_bytes(_: Path) -> ModelProto:
    return with_weight(weight([2, 3], bytes(20)))


@case("w")
def weight_with_too_many_bytes(_: Path) -> ModelProto:
    return with_weight(weight([2, 3], bytes(28)))


@case("w")
def weight_with_half_an_element(_: Path) -> ModelProto:
    return with_weight(weight([2, 3], bytes(23)))


@case("w")
def weight_with_too_few_numbers(_: Path) -> ModelProto:
    return with_weight(TensorProto(name="w", data_type=FLOAT, dims=[2, 3], float_data=[1.0, 2.0]))


@case("w")
def weight_with_numbers_of_another_type(_: Path) -> ModelProto:
    return with_weight(TensorProto(name="w", data_type=FLOAT, dims=[2, 3], int64_data=[1] * 6))


@case("w", ends=EITHER)
def weight_with_bytes_and_numbers(_: Path) -> ModelProto:
    return with_weight(TensorProto(name="w", data_type=FLOAT, dims=[1], raw_data=bytes(4), float_data=[1.0]))


@case("w")
def weight_of_strings(_: Path) -> ModelProto:
    return with_weight(TensorProto(name="w", data_type=TensorProto.STRING, dims=[1], string_data=[b"one"]))


@case("Equal", "string")
def strings_that_are_compared(_: Path) -> ModelProto:
    words = TensorProto(name="w", data_type=TensorProto.STRING, dims=[1], string_data=[b"one"])
    return model([node("Equal", "x w")], [value("x", [1], TensorProto.STRING)], [value("y", [1], TensorProto.BOOL)], [words])


@case("w", "string")
def strings_that_come_out(_: Path) -> ModelProto:
    words = TensorProto(name="w", data_type=TensorProto.STRING, dims=[1], string_data=[b"one"])
    return model([node("Relu", "x")], outputs=[value("y"), value("w", [1], TensorProto.STRING)], weights=[words])


@case("Cast")
def elements_of_four_bits_that_are_computed_on(_: Path) -> ModelProto:
    return model([node("Cast", "x", to=FLOAT)], [value("x", [2, 3], TensorProto.INT4)])


@case("w")
def weight_of_strings_in_raw_bytes(_: Path) -> ModelProto:
    return with_weight(weight([1], b"one!", TensorProto.STRING))


@case("w")
def weight_of_an_unknown_type(_: Path) -> ModelProto:
    return with_weight(weight([1], bytes(4), 4242))


@case("w")
def weight_with_a_negative_extent(_: Path) -> ModelProto:
    return with_weight(weight([-2, 3], bytes(24)))


@case("w")
def weight_with_two_negative_extents(_: Path) -> ModelProto:
    return with_weight(weight([-2, -3], bytes(24)))


@case("w")
def weight_of_a_huge_extent(_: Path) -> ModelProto:
    return with_weight(weight([HUGE], bytes(24)))


@case("w")
def weight_whose_size_wraps_to_zero(_: Path) -> ModelProto:
    return with_weight(weight([1 << 33, 1 << 31], b""))


@case("w")
def weight_whose_size_wraps_to_its_bytes(_: Path) -> ModelProto:
    return with_weight(weight([(1 << 62) + 1, 4], bytes(16)))


@case("w")
def weight_of_rank_100000(_: Path) -> ModelProto:
    return with_weight(weight([1] * 100_000, bytes(4)))


@case("x", "axes")
def input_of_rank_65(_: Path) -> ModelProto:
    return model([node("Relu", "x")], [value("x", [1] * 65)])


@case("x", ends=VALID)
def input_of_rank_64(_: Path) -> ModelProto:
    return model([node("Relu", "x")], [value("x", [1] * 64)])


@case("Constant", "axes")
def constant_of_rank_100000(_: Path) -> ModelProto:
    return model([node("Constant", "", "w", value=weight([1] * 100_000, bytes(4))), node("Add", "x w")])


@case("Reshape")
def reshape_to_rank_100000(_: Path) -> ModelProto:
    return model([node("Reshape", "x s")], weights=[const("s", [2, 3] + [1] * 99_998)])


@case("Reshape")
def reshape_to_rank_65_in_two_steps(_: Path) -> ModelProto:
    nodes = [node("Concat", "a a", "s", axis=0), node("Reshape", "x s")]
    return model(nodes, [value("x", [1])], weights=[const("a", [1] * 33)])


@case("Unsqueeze")
def unsqueeze_to_rank_65(_: Path) -> ModelProto:
    return model([node("Unsqueeze", "x axes")], weights=[const("axes", list(range(63)))])


@case("Expand")
def expand_to_rank_100000(_: Path) -> ModelProto:
    return model([node("Expand", "x s")], weights=[const("s", [1] * 99_998 + [2, 3])])


@case("ConstantOfShape")
def constant_of_shape_of_rank_100000(_: Path) -> ModelProto:
    return model([node("ConstantOfShape", "s", "w"), node("Add", "x w")], weights=[const("s", [1] * 100_000)])


@case("Tile", "Expand", "Loop", "axes", ends=EITHER)
def body_that_gains_an_axis_each_round(_: Path) -> ModelProto:
    """The carried value has one more axis after each of a thousand rounds."""
    truth = helper.make_tensor_value_info
    inputs = [value("i", [], INT64), truth("go", TensorProto.BOOL, []), truth("s", FLOAT, None)]
    outputs = [truth("go_on", TensorProto.BOOL, []), truth("s_out", FLOAT, None)]
    nodes = [node("Identity", "go", "go_on"), node("Unsqueeze", "s zero", "s_out")]
    body = graph(nodes, inputs, outputs, name="body")
    return model([node("Loop", "n _ x", body=body)], weights=[const("n", 1000), const("zero", [0])])


@case("x", ends=EITHER)
def input_with_a_negative_extent(_: Path) -> ModelProto:
    return model([node("Relu", "x")], [value("x", [2, -5])])


@case("x", "large", "overflow", ends=EITHER)
def input_whose_size_wraps(_: Path) -> ModelProto:
    return model([node("Relu", "x")], [value("x", [1 << 40, 1 << 40])])


@case("MatMul")
def matmul_of_wrong_extents(_: Path) -> ModelProto:
    return sized(node("MatMul", "x w"), {"x": [2, 3], "w": [4, 5]})


@case("Gemm")
def gemm_of_wrong_extents(_: Path) -> ModelProto:
    return sized(node("Gemm", "x w"), {"x": [2, 3], "w": [4, 5]})


@case("Gemm", "rank")
def gemm_of_rank_three(_: Path) -> ModelProto:
    return sized(node("Gemm", "x w"), {"x": [2, 2, 3], "w": [3, 5]})


@case("Add")
def add_of_shapes_that_do_not_broadcast(_: Path) -> ModelProto:
    return sized(node("Add", "x w"), {"x": [2, 3], "w": [4]})


@case("Add")
def add_of_two_types(_: Path) -> ModelProto:
    return model([node("Add", "x w")], [value("x"), value("w", [2, 3], INT64)])


@case("y", ends=EITHER)
def output_declared_with_another_rank(_: Path) -> ModelProto:
    return model([node("Relu", "x")], outputs=[value("y", [2, 3, 4])])


@case("y")
def output_declared_with_another_type(_: Path) -> ModelProto:
    return model([node("Relu", "x")], outputs=[value("y", [2, 3], INT64)])


def conv(image: list[int | str], kernel: list[int | str], **attributes: object) -> ModelProto:
    """A model that is one Conv."""
    return sized(node("Conv", "x w", **attributes), {"x": image, "w": kernel})


@case("Conv")
def conv_kernel_of_a_higher_rank_than_its_input(_: Path) -> ModelProto:
    return conv([1, 3, 8], [4, 3, 3, 3, 3])


@case("Conv")
def conv_of_wrong_channels(_: Path) -> ModelProto:
    return conv([1, 3, 8, 8], [4, 5, 3, 3])


@case("Conv")
def conv_of_no_group(_: Path) -> ModelProto:
    return conv([1, 3, 8, 8], [4, 3, 3, 3], group=0)


@case("Conv")
def conv_of_groups_that_do_not_divide(_: Path) -> ModelProto:
    return conv([1, 4, 8, 8], [5, 2, 3, 3], group=2)


@case("Conv")
def conv_of_stride_zero(_: Path) -> ModelProto:
    return conv([1, 3, 8, 8], [4, 3, 3, 3], strides=[0, 1])


@case("Conv")
def conv_of_negative_dilation(_: Path) -> ModelProto:
    return conv([1, 3, 8, 8], [4, 3, 3, 3], dilations=[-1, 1])


@case("Conv")
def conv_of_a_kernel_larger_than_its_input(_: Path) -> ModelProto:
    return conv([1, 3, 4, 4], [4, 3, 9, 9])


@case("Conv")
def conv_of_pads_that_wrap(_: Path) -> ModelProto:
    return conv([1, 3, 8, 8], [4, 3, 3, 3], pads=[HUGE, HUGE, HUGE, HUGE])


@case("Conv")
def conv_of_three_strides_for_two_axes(_: Path) -> ModelProto:
    return conv([1, 3, 8, 8], [4, 3, 3, 3], strides=[1, 1, 1])


@case("MaxPool")
def pool_without_a_kernel(_: Path) -> ModelProto:
    return sized(node("MaxPool", "x"), {"x": [1, 3, 8, 8]})


@case("Split")
def split_into_no_parts(_: Path) -> ModelProto:
    return model([node("Split", "x", num_outputs=0)])


@case("Split")
def split_whose_parts_do_not_add_up(_: Path) -> ModelProto:
    return model([node("Split", "x s", "y z", axis=1)], weights=[const("s", [1, 9])])


@case("Reshape")
def reshape_to_another_size(_: Path) -> ModelProto:
    return model([node("Reshape", "x s")], weights=[const("s", [4, 5])])


@case("Reshape")
def reshape_with_two_unknowns(_: Path) -> ModelProto:
    return model([node("Reshape", "x s")], weights=[const("s", [-1, -1])])


@case("Reshape")
def reshape_whose_size_wraps(_: Path) -> ModelProto:
    return model([node("Reshape", "x s")], weights=[const("s", [1 << 33, 1 << 31, 6])])


@case("Transpose")
def transpose_with_an_axis_twice(_: Path) -> ModelProto:
    return model([node("Transpose", "x", perm=[0, 0])])


@case("Transpose")
def transpose_with_an_axis_outside(_: Path) -> ModelProto:
    return model([node("Transpose", "x", perm=[0, 7])])


@case("Concat")
def concat_of_other_extents(_: Path) -> ModelProto:
    return sized(node("Concat", "x w", axis=0), {"x": [2, 3], "w": [2, 4]})


@case("Softmax")
def softmax_of_an_axis_outside(_: Path) -> ModelProto:
    return model([node("Softmax", "x", axis=9)])


@case("ReduceSum")
def reduction_of_an_axis_outside(_: Path) -> ModelProto:
    return model([node("ReduceSum", "x a")], weights=[const("a", [HUGE])])


@case("Gather", "index", ends=EITHER, runs=True)
def gather_of_an_index_outside(_: Path) -> ModelProto:
    return model([node("Gather", "w i")], [], weights=[const("w", [1, 2, 3], "float32"), const("i", [9])])


@case("Slice")
def slice_of_step_zero(_: Path) -> ModelProto:
    weights = [const(name, [number]) for name, number in (("a", 0), ("b", 2), ("c", 0), ("d", 0))]
    return model([node("Slice", "x a b c d")], weights=weights)


@case("Cast")
def cast_to_an_unknown_type(_: Path) -> ModelProto:
    return model([node("Cast", "x", to=999)])


@case("Einsum", "equation")
def einsum_of_a_broken_equation(_: Path) -> ModelProto:
    return model([node("Einsum", "x", equation="ij->->k,,(")])


@case("LSTM")
def lstm_of_wrong_weights(_: Path) -> ModelProto:
    return sized(node("LSTM", "x w r", hidden_size=4), {"x": [5, 1, 3], "w": [1, 7, 3], "r": [1, 16, 4]})


@case("Resize")
def resize_by_zero(_: Path) -> ModelProto:
    return model([node("Resize", "x _ s")], weights=[const("s", [0.0, 1.0], "float32")])


@case("Pad")
def pad_with_too_few_numbers(_: Path) -> ModelProto:
    return model([node("Pad", "x p")], weights=[const("p", [1, 1, 1])])


@case("Pad")
def pad_that_takes_away_too_much(_: Path) -> ModelProto:
    return model([node("Pad", "x p")], weights=[const("p", [-5, 0, 0, 0])])


@case("TopK", ends=EITHER, runs=True)
def topk_of_more_than_there_are(_: Path) -> ModelProto:
    return model([node("TopK", "x k", "y i")], weights=[const("k", [99])])


@case("ConstantOfShape", "memory", "large", ends=EITHER)
def constant_of_a_huge_shape(_: Path) -> ModelProto:
    return model([node("ConstantOfShape", "s")], [], weights=[const("s", [1 << 40])])


@case("ConstantOfShape", "negative")
def constant_of_a_negative_shape(_: Path) -> ModelProto:
    return model([node("ConstantOfShape", "s")], [], weights=[const("s", [-4])])


@case("Expand", "memory", "large", "overflow", ends=EITHER)
def expand_that_wraps(_: Path) -> ModelProto:
    return model([node("Expand", "x s")], weights=[const("s", [1 << 40, 2, 3])])


@case("Tile", "memory", "large", "overflow", ends=EITHER)
def tile_that_wraps(_: Path) -> ModelProto:
    return model([node("Tile", "x s")], weights=[const("s", [HUGE, HUGE])])


@case("Range", "memory", "large", "overflow", ends=EITHER)
def range_without_end(_: Path) -> ModelProto:
    weights = [const("a", 0), const("b", HUGE), const("c", 1)]
    return model([node("Range", "a b c")], [], [value("y", [None], INT64)], weights)


@case("Range", "step", "delta", "zero", ends=EITHER, runs=True)
def range_of_step_zero(_: Path) -> ModelProto:
    weights = [const("a", 0), const("b", 5), const("c", 0)]
    return model([node("Range", "a b c")], [], [value("y", [None], INT64)], weights)


def integers(op: str, left: object, right: object, dtype: str = "int32", **attributes: object) -> ModelProto:
    """An operator on two constant integer vectors."""
    weights = [const("a", left, dtype), const("b", right, dtype)]
    kind = {"int32": TensorProto.INT32, "uint32": TensorProto.UINT32}[dtype]
    return model([node(op, "a b", **attributes)], [], [value("y", [2], kind)], weights)


@case("Div", "zero", ends=EITHER, runs=True)
def division_by_zero(_: Path) -> ModelProto:
    return integers("Div", [7, 8], [0, 2])


@case("Div", ends=EITHER, runs=True)
def division_of_the_minimum_by_minus_one(_: Path) -> ModelProto:
    return integers("Div", [INT32_MIN, 8], [-1, 2])


@case("Mod", "zero", ends=EITHER, runs=True)
def remainder_by_zero(_: Path) -> ModelProto:
    return integers("Mod", [7, INT32_MIN], [0, -1])


@case("BitShift", ends=EITHER, runs=True)
def shift_past_the_width(_: Path) -> ModelProto:
    return integers("BitShift", [7, 8], [32, 4_000_000_000], "uint32", direction="LEFT")


@case("Div", "zero", ends=EITHER, runs=True)
def division_by_an_input_of_zeros(_: Path) -> ModelProto:
    inputs = [value("x", [2], TensorProto.INT32), value("z", [2], TensorProto.INT32)]
    return model([node("Div", "x z")], inputs, [value("y", [2], TensorProto.INT32)])
