#!/usr/bin/env python3
"""SmolLM2-135M as an ONNX decoder in float32 with a key-value cache, made from the fetched GGUF file.

    smollm2.py [OUT.onnx]

Inputs: input_ids int64[batch, seq], past_key_values.I.{key,value} float[batch, heads, past, 64].
Outputs: logits, present.I.{key,value}.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Protocol

import fetch
import numpy as np
import onnx
from gguf import Gguf
from onnx import TensorProto, helper, numpy_helper

NAME = "smollm2_135m_fp32.onnx"
KINDS = ("key", "value")


class Source(Protocol):
    """Where a decoder's fields and weights come from, named and laid out as in a GGUF file."""

    fields: dict[str, Any]

    def __contains__(self, name: str) -> bool: ...

    def tensor(self, name: str) -> np.ndarray: ...


class Builder:
    """Collects nodes and weights; `node` answers the name of the node's result."""

    def __init__(self, source: Source) -> None:
        self.source = source
        field = {key.removeprefix("llama."): value for key, value in source.fields.items()}
        self.layers: int = field["block_count"]
        self.width: int = field["embedding_length"]
        self.heads: int = field["attention.head_count"]
        self.kv_heads: int = field["attention.head_count_kv"]
        self.head: int = self.width // self.heads
        self.context: int = field["context_length"]
        self.base: float = field["rope.freq_base"]
        self.epsilon: float = field["attention.layer_norm_rms_epsilon"]
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def weight(self, name: str, values: np.ndarray | int | float | list[int]) -> str:
        """A constant: floats as float32, all else as int64."""
        array = np.asarray(values)
        array = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else np.int64).reshape(array.shape)
        if name not in self.weights:
            self.weights[name] = self.stored(name, array)
        return name

    def stored(self, name: str, array: np.ndarray) -> onnx.TensorProto:
        """A constant as the model holds it."""
        return numpy_helper.from_array(array, name)

    def ints(self, *values: int) -> str:
        """A constant int64 vector."""
        return self.weight("ints_" + "_".join(map(str, values)), list(values))

    def node(self, op: str, *inputs: str, result: str = "", **attributes: object) -> str:
        """A node with one result."""
        result = result or f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [result], name=f"n{len(self.nodes)}_{op}", **attributes))
        return result

    def matrix(self, name: str, heads: int = 0) -> np.ndarray:
        """A matrix of the file, outputs by inputs; `heads` undoes the file's interleaving of rotary pairs."""
        matrix = self.source.tensor(name)
        if heads:
            rows = matrix.shape[0]
            matrix = matrix.reshape(heads, rows // heads // 2, 2, -1).swapaxes(1, 2).reshape(rows, -1)
        return matrix

    def linear(self, x: str, name: str, heads: int = 0, result: str = "") -> str:
        """x times the transpose of a matrix of the file."""
        return self.node("MatMul", x, self.weight(name, self.matrix(name, heads).T), result=result)

    def norm(self, x: str, name: str) -> str:
        """Root-mean-square normalisation."""
        square = self.node("Pow", x, self.weight("two", 2.0))
        mean = self.node("ReduceMean", square, self.ints(-1), keepdims=1)
        root = self.node("Sqrt", self.node("Add", mean, self.weight("epsilon", self.epsilon)))
        return self.node("Mul", self.node("Div", x, root), self.weight(name, self.source.tensor(name)))


class Decoder(Builder):
    """The decoder's graph."""

    def build(self) -> onnx.ModelProto:
        """The whole model."""
        self.positions()
        embedding = self.source.tensor("token_embd.weight")
        x = self.node("Gather", self.weight("embedding", embedding), "input_ids")
        for layer in range(self.layers):
            x = self.layer(x, layer)
        self.output_of(self.norm(x, "output_norm.weight"))
        graph = helper.make_graph(self.nodes, "smollm2", *self.ports(len(embedding)), list(self.weights.values()))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)

    def output_of(self, x: str) -> str:
        """The logits, by a matrix of their own or by the embedding."""
        if "output.weight" in self.source:
            return self.linear(x, "output.weight", result="logits")
        return self.node("MatMul", x, self.node("Transpose", "embedding", perm=[1, 0]), result="logits")

    def ports(self, vocabulary: int) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
        """Inputs and outputs."""
        value = helper.make_tensor_value_info
        inputs = [value("input_ids", TensorProto.INT64, ["batch", "seq"])]
        outputs = [value("logits", TensorProto.FLOAT, ["batch", "seq", vocabulary])]
        for ports, prefix, length in ((inputs, "past_key_values", "past"), (outputs, "present", "total")):
            shape = ["batch", self.kv_heads, length, self.head]
            for layer in range(self.layers):
                ports += [value(f"{prefix}.{layer}.{kind}", TensorProto.FLOAT, shape) for kind in KINDS]
        return inputs, outputs

    def positions(self) -> None:
        """What all layers share: extents, rotary tables at the positions, the causal mask."""
        self.batch = self.node("Shape", "input_ids", start=0, end=1)
        self.seq = self.node("Shape", "input_ids", start=1, end=2)
        past = self.node("Shape", "past_key_values.0.key", start=2, end=3)
        self.total = self.node("Add", self.seq, past)
        first, end = (self.node("Squeeze", extent, self.ints(0)) for extent in (past, self.total))
        one, zero = self.weight("one", 1), self.weight("zero", 0)
        at = self.node("Range", first, end, one)
        angles = np.arange(self.context)[:, None] / self.base ** (np.arange(0, self.head, 2) / self.head)
        tables = {name: np.hstack([f(angles)] * 2) for name, f in (("cos", np.cos), ("sin", np.sin))}
        self.cos, self.sin = (self.node("Gather", self.weight(name, table), at) for name, table in tables.items())
        keys = self.node("Unsqueeze", self.node("Range", zero, end, one), self.ints(0))
        later = self.node("Greater", keys, self.node("Unsqueeze", at, self.ints(1)))
        self.mask = self.node("Where", later, self.weight("hidden", -1e9), self.weight("seen", 0.0))

    def rotated(self, x: str) -> str:
        """Rotary position embedding, halves split."""
        half, axis = self.head // 2, self.ints(3)
        low = self.node("Slice", x, self.ints(0), self.ints(half), axis)
        high = self.node("Slice", x, self.ints(half), self.ints(self.head), axis)
        turned = self.node("Concat", self.node("Neg", high), low, axis=3)
        return self.node("Add", self.node("Mul", x, self.cos), self.node("Mul", turned, self.sin))

    def by_head(self, x: str, heads: int) -> str:
        """[batch, seq, width] as [batch, heads, seq, head]."""
        shape = self.node("Concat", self.batch, self.seq, self.ints(heads, self.head), axis=0)
        return self.node("Transpose", self.node("Reshape", x, shape), perm=[0, 2, 1, 3])

    def shared(self, x: str) -> str:
        """Keys or values repeated for the query heads that share them."""
        group = self.heads // self.kv_heads
        grouped = self.node("Concat", self.batch, self.ints(self.kv_heads, group), self.total, self.ints(self.head), axis=0)
        flat = self.node("Concat", self.batch, self.ints(self.heads), self.total, self.ints(self.head), axis=0)
        return self.node("Reshape", self.node("Expand", self.node("Unsqueeze", x, self.ints(2)), grouped), flat)

    def attention(self, x: str, layer: int) -> str:
        """Grouped-query attention with the cache."""
        block = f"blk.{layer}.attn_"
        query = self.rotated(self.by_head(self.linear(x, block + "q.weight", self.heads), self.heads))
        key = self.rotated(self.by_head(self.linear(x, block + "k.weight", self.kv_heads), self.kv_heads))
        value = self.by_head(self.linear(x, block + "v.weight"), self.kv_heads)
        key, value = (
            self.node("Concat", f"past_key_values.{layer}.{kind}", new, result=f"present.{layer}.{kind}", axis=2)
            for kind, new in zip(KINDS, (key, value), strict=True)
        )
        scores = self.node("MatMul", query, self.node("Transpose", self.shared(key), perm=[0, 1, 3, 2]))
        scores = self.node("Mul", scores, self.weight("scale", self.head**-0.5))
        chances = self.node("Softmax", self.node("Add", scores, self.mask), axis=-1)
        mixed = self.node("Transpose", self.node("MatMul", chances, self.shared(value)), perm=[0, 2, 1, 3])
        shape = self.node("Concat", self.batch, self.seq, self.ints(self.width), axis=0)
        return self.linear(self.node("Reshape", mixed, shape), block + "output.weight")

    def layer(self, x: str, layer: int) -> str:
        """Attention and the gated feed-forward net, each with its residual."""
        block = f"blk.{layer}."
        x = self.node("Add", x, self.attention(self.norm(x, block + "attn_norm.weight"), layer))
        h = self.norm(x, block + "ffn_norm.weight")
        gate = self.linear(h, block + "ffn_gate.weight")
        gate = self.node("Mul", gate, self.node("Sigmoid", gate))
        inner = self.node("Mul", gate, self.linear(h, block + "ffn_up.weight"))
        return self.node("Add", x, self.linear(inner, block + "ffn_down.weight"))


def convert(source: Path, out: Path) -> Path:
    """Writes the ONNX file if it is not there yet."""
    if not out.exists():
        partial = out.with_suffix(".partial")
        partial.write_bytes(Decoder(Gguf(source)).build().SerializeToString())
        partial.rename(out)
    return out


def model(out: Path | None = None) -> Path:
    """The ONNX file, fetched and converted if need be."""
    source = fetch.fetch(fetch.row("smollm2"))
    return convert(source, out or source.with_name(NAME))


if __name__ == "__main__":
    print(model(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
