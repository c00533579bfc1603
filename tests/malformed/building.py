"""How the malformed models are described: a register of cases, and short words for making models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
REFUSED, VALID, EITHER = "refused", "valid", "either"

Made = ModelProto | bytes | None


@dataclass(frozen=True)
class Case:
    """One model. `make` answers it, or writes the files itself and answers None."""

    name: str
    make: Callable[[Path], Made]
    ends: str
    """REFUSED: exit code 1. VALID: it must compile. EITHER: both will do, nothing else will."""
    mentions: tuple[str, ...]
    """A refusal must contain one of these, whatever the case: the thing it is about."""
    runs: bool
    """Run the artifact, too, if it compiles: it may fail, it may not crash."""

    def write(self, folder: Path) -> Path:
        """Writes the model into a folder and answers its path."""
        path = folder / "model.onnx"
        made = self.make(folder)
        if made is not None:
            path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
        return path


CASES: list[Case] = []


def case(
    *mentions: str, ends: str = REFUSED, runs: bool = False
) -> Callable[[Callable[[Path], Made]], Callable[[Path], Made]]:
    """Registers a function as a case under its own name."""

    def register(make: Callable[[Path], Made]) -> Callable[[Path], Made]:
        CASES.append(Case(make.__name__, make, ends, mentions, runs))
        return make

    return register


def value(name: str, shape: list[int | str | None] | None = None, dtype: int = FLOAT) -> ValueInfoProto:
    """An input or output."""
    return helper.make_tensor_value_info(name, dtype, [2, 3] if shape is None else shape)


def const(name: str, array: object, dtype: type = np.int64) -> TensorProto:
    """A weight."""
    return numpy_helper.from_array(np.asarray(array, dtype), name)


def graph(
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto] | None = None,
    outputs: list[ValueInfoProto] | None = None,
    weights: list[TensorProto] | None = None,
    name: str = "g",
) -> GraphProto:
    """A graph, by default from x float[2, 3] to y of unknown shape."""
    inputs = [value("x")] if inputs is None else inputs
    outputs = [helper.make_tensor_value_info("y", FLOAT, None)] if outputs is None else outputs
    return helper.make_graph(nodes, name, inputs, outputs, weights or [])


def model(
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto] | None = None,
    outputs: list[ValueInfoProto] | None = None,
    weights: list[TensorProto] | None = None,
    opset: int = 20,
    functions: list[onnx.FunctionProto] | None = None,
) -> ModelProto:
    """A model around such a graph."""
    opsets = [helper.make_opsetid("", opset)]
    if functions:
        opsets.append(helper.make_opsetid("local", 1))
    made = helper.make_model(graph(nodes, inputs, outputs, weights), opset_imports=opsets, functions=functions or [])
    made.ir_version = 10
    return made


def node(op: str, inputs: str, outputs: str = "y", **attributes: object) -> NodeProto:
    """A node named after its operator and results; operands and results as words, `_` for one left out."""
    words = ["" if word == "_" else word for word in inputs.split()]
    return helper.make_node(op, words, outputs.split(), name=f"the_{op}_of_{outputs}", **attributes)


def varint(number: int) -> bytes:
    """protobuf's variable-length integer."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(content)) + content
