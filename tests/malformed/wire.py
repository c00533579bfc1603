"""Files that are no protobuf, or no protobuf of a model."""

from __future__ import annotations

import random
from pathlib import Path

from building import FLOAT, case, const, field, model, node, value, varint
from onnx import ModelProto

GRAPH, INPUT, TYPE, SEQUENCE_TYPE, ELEMENT_TYPE = 7, 11, 2, 4, 1
START_GROUP = 3


def good() -> bytes:
    """A model that is right, to be damaged."""
    weights = [const("w", [[1.0] * 3] * 2, "float32")]
    return model([node("Add", "x w")], weights=weights).SerializeToString()


@case("empty", "no graph", "bytes")
def empty_file(_: Path) -> bytes:
    return b""


@case("onnx", "protobuf", "byte")
def one_byte(_: Path) -> bytes:
    return b"\x08"


@case("onnx", "protobuf", "byte")
def random_bytes(_: Path) -> bytes:
    return random.Random(1).randbytes(4096)


@case("onnx", "protobuf", "byte")
def text_file(_: Path) -> bytes:
    return b"This is not a model.\n"


@case("onnx", "protobuf", "byte")
def archive_instead(_: Path) -> bytes:
    return b"PK\x03\x04" + bytes(60)


@case("onnx", "protobuf", "byte")
def cut_in_half(_: Path) -> bytes:
    return good()[: len(good()) // 2]


@case("onnx", "protobuf", "byte", "opset")
def cut_before_the_opset(_: Path) -> bytes:
    return good()[:-3]


@case("onnx", "protobuf", "byte")
def length_beyond_the_end(_: Path) -> bytes:
    return varint(GRAPH << 3 | 2) + varint(1 << 62) + b"x"


@case("onnx", "protobuf", "byte", "varint")
def endless_varint(_: Path) -> bytes:
    return b"\x08" + b"\xff" * 40


@case("onnx", "protobuf", "byte", "wire")
def wrong_wire_type(_: Path) -> bytes:
    return varint(GRAPH << 3) + b"\x05"


@case("onnx", "protobuf", "recursion", "nest", "deep")
def nested_groups(_: Path) -> bytes:
    return varint(1000 << 3 | START_GROUP) * 200_000


@case("onnx", "protobuf", "recursion", "nest", "deep")
def nested_types(_: Path) -> bytes:
    inner = b""
    for _level in range(3000):
        inner = field(SEQUENCE_TYPE, field(ELEMENT_TYPE, inner))
    return field(GRAPH, field(INPUT, field(1, b"x") + field(TYPE, inner)))


@case("utf", "protobuf", "string")
def name_not_utf8(_: Path) -> bytes:
    return good().replace(b"the_Add", b"the\xff\xfe\xfdA")


@case("folder", "directory", "file")
def model_is_a_folder(folder: Path) -> None:
    (folder / "model.onnx").mkdir()


@case("no such file", "not found", "exist")
def model_is_missing(_: Path) -> None:
    return None


@case("graph")
def no_graph(_: Path) -> ModelProto:
    made = model([node("Relu", "x")])
    made.ClearField("graph")
    return made


@case("opset")
def no_opset(_: Path) -> ModelProto:
    made = model([node("Relu", "x")])
    made.ClearField("opset_import")
    return made


@case("opset", "version")
def opset_zero(_: Path) -> ModelProto:
    return model([node("Relu", "x")], opset=0)


@case("opset", "version")
def opset_negative(_: Path) -> ModelProto:
    return model([node("Relu", "x")], opset=-7)


@case("opset", "version")
def opset_of_the_future(_: Path) -> ModelProto:
    return model([node("Relu", "x")], opset=9999)


@case("opset", "twice", "domain")
def two_opsets_of_one_domain(_: Path) -> ModelProto:
    made = model([node("Relu", "x")])
    made.opset_import.add(domain="", version=7)
    return made


@case("type", "x")
def input_without_a_type(_: Path) -> ModelProto:
    made = model([node("Relu", "x")])
    made.graph.input[0].ClearField("type")
    return made


@case("type", "x")
def element_type_undefined(_: Path) -> ModelProto:
    return model([node("Relu", "x")], [value("x", [2], 0)])


@case("type", "999")
def element_type_unknown(_: Path) -> ModelProto:
    made = model([node("Relu", "x")])
    made.graph.input[0].type.tensor_type.elem_type = 999
    return made


@case("w", "sparse")
def sparse_weight(_: Path) -> ModelProto:
    made = model([node("Add", "x w")])
    sparse = made.graph.sparse_initializer.add()
    sparse.dims.extend([2, 3])
    sparse.values.name, sparse.values.data_type = "w", FLOAT
    return made
