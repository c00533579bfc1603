"""Transformer blocks as exporters write them, for saturation.py: weights drawn at random, a symbolic length."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEADS = 256, 4
EACH = WIDTH // HEADS
LENGTH = 64


class Block:
    """A graph that grows node by node."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, *operands: str, **attributes: object) -> str:
        """The result of one more node."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(operands), [name], **attributes))
        return name

    def constant(self, values: object, dtype: type = np.float32) -> str:
        """A tensor of these numbers."""
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def random(self, *shape: int) -> str:
        """A weight."""
        return self.constant(self._rng.standard_normal(shape) / np.sqrt(shape[0]))

    def linear(self, x: str, columns: int, rows: int = WIDTH, bias: bool = True) -> str:
        """A layer without activation."""
        product = self.add("MatMul", x, self.random(rows, columns))
        return self.add("Add", product, self.random(columns)) if bias else product

    def norm(self, x: str) -> str:
        """A layer normalisation, written out."""
        last = self.constant([-1], np.int64)
        centred = self.add("Sub", x, self.add("ReduceMean", x, last))
        squares = self.add("ReduceMean", self.add("Mul", centred, centred), last)
        root = self.add("Sqrt", self.add("Add", squares, self.constant(1e-5)))
        scaled = self.add("Mul", self.add("Div", centred, root), self.random(WIDTH))
        return self.add("Add", scaled, self.random(WIDTH))

    def heads(self, x: str, heads: int = HEADS, perm: tuple[int, ...] = (0, 2, 1, 3)) -> str:
        """Columns as heads, in front of positions."""
        apart = self.add("Reshape", x, self.constant([0, 0, heads, EACH], np.int64))
        return self.add("Transpose", apart, perm=perm)

    def attend(self, q: str, turned: str, v: str, scale: bool = True) -> str:
        """Attention of queries to keys that are turned already, heads joined again."""
        scores = self.add("MatMul", q, turned)
        if scale:
            scores = self.add("Div", scores, self.constant(EACH**0.5))
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=-1), v)
        joined = self.add("Transpose", mixed, perm=(0, 2, 1, 3))
        return self.add("Reshape", joined, self.constant([0, 0, WIDTH], np.int64))

    def gelu(self, x: str) -> str:
        """The activation by the error function, written out."""
        wave = self.add("Erf", self.add("Div", x, self.constant(2**0.5)))
        return self.add("Mul", self.add("Mul", x, self.add("Add", wave, self.constant(1.0))), self.constant(0.5))

    def feed(self, x: str) -> str:
        """Two layers with an activation between them."""
        return self.linear(self.gelu(self.linear(x, 4 * WIDTH)), WIDTH, 4 * WIDTH)

    def model(self, inputs: dict[str, list[int | str]], outputs: dict[str, tuple[str, int]]) -> onnx.ModelProto:
        """The graph; each output is a value and its rank."""
        self.nodes += [helper.make_node("Identity", [value], [name]) for name, (value, _) in outputs.items()]
        typed = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
        made = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank) for name, (_, rank) in outputs.items()
        ]
        graph = helper.make_graph(self.nodes, "block", typed, made, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def bert() -> onnx.ModelProto:
    """Two encoder layers, norms behind."""
    b, x = Block(1), "x"
    for _ in range(2):
        q, v = b.heads(b.linear(x, WIDTH)), b.heads(b.linear(x, WIDTH))
        k = b.heads(b.linear(x, WIDTH), perm=(0, 2, 3, 1))
        x = b.norm(b.add("Add", b.linear(b.attend(q, k, v), WIDTH), x))
        x = b.norm(b.add("Add", b.feed(x), x))
    return b.model({"x": [1, "L", WIDTH]}, {"y": (x, 3)})


def gpt() -> onnx.ModelProto:
    """One decoder layer that takes one token and the keys and values before it."""
    b = Block(2)
    joined = b.linear(b.norm("x"), 3 * WIDTH)
    cuts = b.constant([WIDTH] * 3, np.int64)
    b.nodes.append(helper.make_node("Split", [joined, cuts], ["q", "k", "v"], axis=2))
    keys = b.add("Concat", "past_k", b.heads("k"), axis=2)
    values = b.add("Concat", "past_v", b.heads("v"), axis=2)
    mixed = b.attend(b.heads("q"), b.add("Transpose", keys, perm=(0, 1, 3, 2)), values)
    x = b.add("Add", b.linear(mixed, WIDTH), "x")
    y = b.add("Add", b.feed(b.norm(x)), x)
    past: list[int | str] = [1, HEADS, "P", EACH]
    return b.model({"x": [1, 1, WIDTH], "past_k": past, "past_v": past}, {"y": (y, 3), "keys": (keys, 4), "values": (values, 4)})


def llama() -> onnx.ModelProto:
    """One decoder layer with grouped queries, root mean squares and a gated feed-forward part."""
    b, groups = Block(3), HEADS // 2

    def rms(x: str) -> str:
        squares = b.add("ReduceMean", b.add("Pow", x, b.constant(2.0)), b.constant([-1], np.int64))
        root = b.add("Sqrt", b.add("Add", squares, b.constant(1e-6)))
        return b.add("Mul", b.add("Mul", x, b.add("Reciprocal", root)), b.random(WIDTH))

    def repeated(x: str) -> str:
        apart = b.add("Unsqueeze", x, b.constant([2], np.int64))
        copies = b.add("Concat", apart, apart, axis=2)
        return b.add("Reshape", copies, b.constant([0, HEADS, -1, EACH], np.int64))

    normed = rms("x")
    q = b.heads(b.linear(normed, WIDTH, bias=False))
    k, v = (repeated(b.heads(b.linear(normed, groups * EACH, bias=False), groups)) for _ in range(2))
    mixed = b.attend(q, b.add("Transpose", k, perm=(0, 1, 3, 2)), v)
    x = b.add("Add", b.linear(mixed, WIDTH, bias=False), "x")
    normed = rms(x)
    gate, up = (b.linear(normed, 3 * WIDTH, bias=False) for _ in range(2))
    gated = b.add("Mul", b.add("Mul", gate, b.add("Sigmoid", gate)), up)
    y = b.add("Add", b.linear(gated, WIDTH, 3 * WIDTH, bias=False), x)
    return b.model({"x": [1, "L", WIDTH]}, {"y": (y, 3)})


def vit() -> onnx.ModelProto:
    """Patches of an image and one encoder layer, norms in front."""
    b = Block(4)
    patches = b.add("Conv", "x", b.random(WIDTH, 3, 16, 16), b.random(WIDTH), strides=[16, 16])
    flat = b.add("Reshape", patches, b.constant([0, WIDTH, -1], np.int64))
    x = b.add("Add", b.add("Transpose", flat, perm=(0, 2, 1)), b.random(LENGTH, WIDTH))
    normed = b.norm(x)
    q = b.add("Mul", b.heads(b.linear(normed, WIDTH)), b.constant(EACH**-0.5))
    k, v = b.heads(b.linear(normed, WIDTH), perm=(0, 2, 3, 1)), b.heads(b.linear(normed, WIDTH))
    x = b.add("Add", b.linear(b.attend(q, k, v, scale=False), WIDTH), x)
    return b.model({"x": [1, 3, 128, 128]}, {"y": (b.add("Add", b.feed(b.norm(x)), x), 3)})


BLOCKS: dict[str, Callable[[], onnx.ModelProto]] = {"bert": bert, "gpt_cache": gpt, "llama_gqa": llama, "vit": vit}


def inputs(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Random numbers for every input, symbolic extents as long as LENGTH."""
    rng = np.random.default_rng(0)
    shapes = {
        port.name: [dim.dim_value or LENGTH for dim in port.type.tensor_type.shape.dim] for port in model.graph.input
    }
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
