"""Writes small ONNX models of the methods, each in the ways a model may spell it; see `PATTERNS`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HIDDEN, EXPERTS, TOKENS = 8, 12, 4, 16


class Graph:
    """A model while it is written down."""

    def __init__(self, seed: int = 3, prefix: str = "t") -> None:
        self.prefix = prefix
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: list[int | str]) -> str:
        """A float input."""
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def weight(self, array: Any, dtype: Any = np.float32) -> str:
        """A constant."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def ints(self, *numbers: int) -> str:
        """A list of integers."""
        return self.weight(numbers, np.int64)

    def random(self, *shape: int, scale: float = 1.0) -> str:
        """A constant of normally distributed numbers."""
        return self.weight(self.rng.normal(size=shape) * scale)

    def op(self, kind: str, *operands: str, results: int = 1, **attributes: Any) -> Any:
        """A node; gives the names of its results, or of the only one."""
        names = [f"{self.prefix}{len(self.nodes)}_{slot}" for slot in range(results)]
        self.nodes.append(helper.make_node(kind, list(operands), names, **attributes))
        return names[0] if results == 1 else names

    def model(self, output: str, opset: int = 18) -> onnx.ModelProto:
        """The model that gives one value, as `y`."""
        self.nodes.append(helper.make_node("Identity", [output], ["y"]))
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "main", self.inputs, [y], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


@dataclass(frozen=True)
class Pattern:
    """A way to write a method, and what is to become of it."""

    name: str
    write: Callable[[], onnx.ModelProto]
    note: str
    """What the pass must say of it."""
    gone: tuple[str, ...] = ()
    """Operators that are left nowhere."""
    fix: dict[str, str] = field(default_factory=dict)
    """Inputs that are fixed by `--fix`."""


BENDS: dict[str, tuple[str, Callable[[Graph, str], str]]] = {
    "arctan": ("Atan", lambda g, u: g.op("Atan", u)),
    "arsinh": ("Asinh", lambda g, u: g.op("Asinh", u)),
    "erf": ("Erf", lambda g, u: g.op("Erf", u)),
    "arsinh spelled out": (
        "Log",
        lambda g, u: g.op(
            "Log", g.op("Add", u, g.op("Sqrt", g.op("Add", g.op("Mul", u, u), g.weight(1.0))))
        ),
    ),
}


def companded(bend: str, form: str) -> onnx.ModelProto:
    """`y = x W + bias` with `W = 0.6 * f(v / 0.7)`, in one of its forms."""
    g = Graph()
    x = g.input("x", ["N", WIDTH])
    shape = (HIDDEN, WIDTH) if form == "turned" else (WIDTH, HIDDEN)
    v = g.random(*shape)
    if form == "fixed":
        a, b = g.input("a", []), g.input("b", [])
    else:
        a, b = g.weight(0.6), g.weight(0.7)
    u = g.op("Mul", v, g.weight(1 / 0.7)) if form == "times the inverse" else g.op("Div", v, b)
    w = BENDS[bend][1](g, u)
    w = g.op("Mul", w, a) if form == "factor behind" else g.op("Mul", a, w)
    if form == "turned":
        w = g.op("Transpose", w, perm=[1, 0])
    return g.model(g.op("Add", g.op("MatMul", x, w), g.random(HIDDEN)))


def companded_conv() -> onnx.ModelProto:
    """A convolution with a companded filter and batch normalisation behind it."""
    g = Graph()
    x = g.input("x", ["N", 3, 6, 6])
    w = g.op("Mul", g.op("Atan", g.op("Div", g.random(6, 3, 3, 3), g.weight(0.7))), g.weight(0.6))
    c = g.op("Conv", x, w)
    scale = [g.random(6), g.random(6), g.random(6), g.weight(g.rng.uniform(0.5, 2, 6))]
    return g.model(g.op("BatchNormalization", c, *scale))


def companded_twice(shared: bool) -> onnx.ModelProto:
    """Two layers, with one a and b for both or a pair for each."""
    g = Graph()
    h = g.input("x", ["N", WIDTH])
    pairs = [(0.6, 0.7), (0.6, 0.7) if shared else (0.9, 1.1)]
    a, b = g.weight(0.6), g.weight(0.7)
    for factor, divisor in pairs:
        if not shared:
            a, b = g.weight(factor), g.weight(divisor)
        w = g.op("Mul", g.op("Atan", g.op("Div", g.random(WIDTH, WIDTH), b)), a)
        h = g.op("MatMul", h, w)
    return g.model(h)


def companded_branch() -> onnx.ModelProto:
    """A companded layer within a branch, its weights outside."""
    g = Graph()
    x, v, a, b = g.input("x", ["N", WIDTH]), g.random(WIDTH, WIDTH), g.weight(0.6), g.weight(0.7)
    inner = Graph(prefix="inner")
    w = inner.op("Mul", inner.op("Atan", inner.op("Div", v, b)), a)
    inner.nodes.append(helper.make_node("MatMul", [x, w], ["then_y"]))
    value = helper.make_tensor_value_info("then_y", TensorProto.FLOAT, ["N", WIDTH])
    then = helper.make_graph(inner.nodes, "then", [], [value])
    other = helper.make_tensor_value_info("else_y", TensorProto.FLOAT, ["N", WIDTH])
    otherwise = helper.make_graph([helper.make_node("Relu", [x], ["else_y"])], "else", [], [other])
    total = g.op("ReduceSum", x, keepdims=0)
    chosen = g.op("Greater", total, g.weight(0.0))
    return g.model(g.op("If", chosen, then_branch=then, else_branch=otherwise))


def linear(weight: Callable[[Graph], str]) -> onnx.ModelProto:
    """`y = x W` with a weight that is computed."""
    g = Graph()
    return g.model(g.op("MatMul", g.input("x", ["N", WIDTH]), weight(g)))


def conv(weight: Callable[[Graph, str], str]) -> onnx.ModelProto:
    """A convolution with filters that are computed from others."""
    g = Graph()
    return g.model(g.op("Conv", g.input("x", ["N", 3, 6, 6]), weight(g, g.random(6, 3, 3, 3))))


def weight_norm(g: Graph, norm: str) -> str:
    """`g * v / |v|`, the norm in one of its spellings."""
    v, gain, axes = g.random(WIDTH, HIDDEN), g.random(1, HIDDEN), g.ints(0)
    if norm == "ReduceL2":
        length = g.op("ReduceL2", v, axes)
    elif norm == "ReduceSumSquare":
        length = g.op("Sqrt", g.op("ReduceSumSquare", v, axes))
    elif norm == "Pow":
        length = g.op("Pow", g.op("ReduceSum", g.op("Pow", v, g.weight(2.0)), axes), g.weight(0.5))
    else:
        length = g.op("Sqrt", g.op("ReduceSum", g.op("Mul", v, v), axes))
    if norm == "Pow":
        return g.op("Mul", v, g.op("Div", gain, length))
    return g.op("Mul", gain, g.op("Div", v, length))


def powered(g: Graph) -> str:
    """`sign(v) * |v|^alpha`."""
    v = g.random(WIDTH, HIDDEN)
    return g.op("Mul", g.op("Sign", v), g.op("Pow", g.op("Abs", v), g.weight(2.5)))


def standardised(g: Graph, v: str) -> str:
    """Filters less their mean, over the root of their variance."""
    axes = g.ints(1, 2, 3)
    centred = g.op("Sub", v, g.op("ReduceMean", v, axes))
    variance = g.op("ReduceMean", g.op("Mul", centred, centred), axes)
    return g.op("Div", centred, g.op("Sqrt", g.op("Add", variance, g.weight(1e-5))))


def by_place(g: Graph, v: str) -> str:
    """Filters times an outer product."""
    alpha = g.op("Concat", g.weight([0.7]), g.weight([1.0]), g.weight([0.7]), axis=0)
    return g.op("Mul", v, g.op("Einsum", alpha, alpha, equation="i,j->ij"))


def lora(g: Graph, dora: bool) -> str:
    """`W0 + s B A`, rows set to a length."""
    thin = g.op("MatMul", g.random(WIDTH, 2), g.random(2, HIDDEN))
    v = g.op("Add", g.random(WIDTH, HIDDEN), g.op("Mul", g.weight(2.0), thin))
    if not dora:
        return v
    return g.op("Mul", v, g.op("Div", g.random(1, HIDDEN), g.op("ReduceL2", v, g.ints(0))))


def mixture(g: Graph, form: str) -> str:
    """The weights of N experts as one."""
    if form == "chain":
        total = g.random(WIDTH, HIDDEN)
        for _ in range(EXPERTS - 1):
            total = g.op("Add", total, g.random(WIDTH, HIDDEN))
        return g.op("Mul", total, g.weight(1 / EXPERTS))
    stack = g.random(EXPERTS, WIDTH, HIDDEN)
    if form == "mean":
        return g.op("ReduceMean", stack, g.ints(0), keepdims=0)
    alpha = g.op("Softmax", g.op("MatMul", g.random(1, 3), g.random(3, EXPERTS)))
    if form == "einsum":
        return g.op("Einsum", alpha, stack, equation="bn,nij->ij")
    weighed = g.op("Mul", stack, g.op("Reshape", alpha, g.ints(EXPERTS, 1, 1)))
    return g.op("ReduceSum", weighed, g.ints(0), keepdims=0)


def weights() -> Iterator[Pattern]:
    """What `fold-weight-expressions` is for."""
    for bend, (op, _) in BENDS.items():
        name = bend.split()[0]
        for form in ("plain", "factor behind", "times the inverse", "turned"):
            note = f"weight compander, {name}: a = 0.6, b = 0.7"
            yield Pattern(f"{bend}, {form}", lambda b=bend, f=form: companded(b, f), note, (op, "Transpose"))
    note = "weight compander, arctan: a = 0.6, b = 0.7, |w| < 0.942478"
    fix = {"a": "0.6", "b": "0.7"}
    yield Pattern("a and b fixed", lambda: companded("arctan", "fixed"), note, ("Atan",), fix)
    yield Pattern("shared a and b", lambda: companded_twice(True), note, ("Atan",))
    own = "weight compander, arctan: a = 0.9, b = 1.1"
    yield Pattern("a and b of each layer", lambda: companded_twice(False), own, ("Atan",))
    yield Pattern("convolution", companded_conv, note, ("Atan", "BatchNormalization"))
    yield Pattern("branch", companded_branch, note, ("Atan",))
    for norm in ("ReduceL2", "ReduceSumSquare", "Pow", "Sqrt"):
        gone = ("ReduceL2", "ReduceSumSquare", "Pow", "Sqrt", "Div")
        note = "weight normalisation"
        yield Pattern(f"weight norm, {norm}", lambda n=norm: linear(lambda g: weight_norm(g, n)), note, gone)
    yield Pattern("powers", lambda: linear(powered), "powerpropagation: alpha = 2.5", ("Pow", "Abs"))
    yield Pattern("standardised", lambda: conv(standardised), "weight standardisation", ("Sqrt", "ReduceMean"))
    yield Pattern("by place", lambda: conv(by_place), "filters weighed by place", ("Einsum", "Concat"))
    yield Pattern("lora", lambda: linear(lambda g: lora(g, False)), "LoRA merged", ("Mul",))
    yield Pattern("dora", lambda: linear(lambda g: lora(g, True)), "DoRA merged", ("ReduceL2",))
    for form, note in {
        "mean": "the average of 4 weights",
        "chain": "a sum of 4 weights",
        "einsum": "a mixture of 4 weights",
        "sum": "a mixture of 4 weights",
    }.items():
        gone = ("ReduceMean", "ReduceSum", "Softmax", "Einsum", "Add")
        yield Pattern(f"mixture, {form}", lambda f=form: linear(lambda g: mixture(g, f)), note, gone)


def dense(g: Graph, x: str, weight: str, form: str, bias: str = "") -> str:
    """`x W`, and a bias if there is one."""
    if form == "Gemm":
        return g.op("Gemm", x, g.op("Transpose", weight, perm=[1, 0]), *([bias] if bias else []), transB=1)
    product = g.op("MatMul", x, weight)
    return g.op("Add", product, bias) if bias else product


def adapted(form: str, scale: str, method: str) -> onnx.ModelProto:
    """A layer with an adapter that nobody merged; `method` is how the two come together."""
    g = Graph()
    x = g.input("x", ["N", WIDTH])
    base, down, up = g.random(WIDTH, HIDDEN), g.random(WIDTH, 2), g.random(2, HIDDEN)
    bias = "" if method == "no bias" else g.random(HIDDEN)
    y, factor = dense(g, x, base, form, bias), g.input("alpha", []) if scale == "fixed" else g.weight(2.0)
    low = dense(g, x, down, form)
    if scale == "in between":
        low = g.op("Mul", low, factor)
    adapter = dense(g, low, up, form)
    if scale != "in between":
        adapter = g.op("Mul", adapter, factor)
    if method == "subtracted":
        return g.model(g.op("Sub", y, adapter))
    if not method.startswith("dora"):
        return g.model(g.op("Add", adapter, y))
    whole = g.op("Add", base, g.op("Mul", g.op("MatMul", down, up), factor))
    gain = g.op("Div", g.random(1, HIDDEN), g.op("ReduceL2", whole, g.ints(0)))
    plain = g.op("Sub", y, bias) if method == "dora, less its bias" else dense(g, x, base, form)
    more = g.op("Mul", g.op("Sub", gain, g.weight(1.0)), plain)
    return g.model(g.op("Add", y, g.op("Add", more, g.op("Mul", gain, adapter))))


ADAPTERS = [
    (form, scale, method)
    for form in ("MatMul", "Gemm")
    for scale in ("behind", "in between", "fixed")
    for method in ("with bias", "no bias", "subtracted", "dora", "dora, less its bias")
]


@dataclass(frozen=True)
class Experts:
    """The weights of N feed-forward networks, stacked."""

    w1: np.ndarray
    b1: np.ndarray
    w2: np.ndarray
    b2: np.ndarray

    @classmethod
    def drawn(cls, spread: float, seed: int = 3, width: int = WIDTH, hidden: int = HIDDEN) -> Experts:
        """Weights that are `spread` from their average, relative to it."""
        rng = np.random.default_rng(seed)

        def stack(*shape: int, scale: float) -> np.ndarray:
            mean, each = rng.normal(size=shape), rng.normal(size=(EXPERTS, *shape))
            return np.float32(scale * (mean + spread * (each - each.mean(0))))

        return cls(
            stack(width, hidden, scale=width**-0.5),
            stack(hidden, scale=0.1),
            stack(hidden, width, scale=hidden**-0.5),
            stack(width, scale=0.1),
        )

    def averaged(self, x: np.ndarray) -> np.ndarray:
        """The network of the averaged weights, in double precision."""
        return network(x, *(np.float64(part).mean(0) for part in (self.w1, self.b1, self.w2, self.b2)))

    def ensemble(self, x: np.ndarray) -> np.ndarray:
        """The average of what the networks give, in double precision."""
        parts = [np.float64(part) for part in (self.w1, self.b1, self.w2, self.b2)]
        return np.mean([network(x, *(part[i] for part in parts)) for i in range(EXPERTS)], axis=0)


def network(x: np.ndarray, w1: np.ndarray, b1: np.ndarray, w2: np.ndarray, b2: np.ndarray) -> np.ndarray:
    """Two layers with a Gelu between them."""
    h = np.float64(x) @ w1 + b1
    return 0.5 * h * (1 + np.vectorize(math.erf)(h / math.sqrt(2))) @ w2 + b2


def gelu(g: Graph, h: str) -> str:
    """As exporters write it."""
    erf = g.op("Erf", g.op("Div", h, g.weight(2**0.5)))
    return g.op("Mul", g.op("Mul", h, g.op("Add", erf, g.weight(1.0))), g.weight(0.5))


def dealt(g: Graph, parts: str, experts: Experts, products: str) -> str:
    """Stacked experts on `[..., N, T / N, d]`."""
    w1, w2 = g.weight(experts.w1), g.weight(experts.w2)
    b1, b2 = g.weight(experts.b1[:, None]), g.weight(experts.b2[:, None])
    if products == "MatMul":
        h = gelu(g, g.op("Add", g.op("MatMul", parts, w1), b1))
        return g.op("Add", g.op("MatMul", h, w2), b2)
    h = gelu(g, g.op("Add", g.op("Einsum", parts, w1, equation="bntd,ndh->bnth"), b1))
    return g.op("Add", g.op("Einsum", w2, h, equation="nhd,bnth->bntd"), b2)


def branches(g: Graph, parts: list[str], experts: Experts) -> list[str]:
    """One network per part."""
    made = []
    for i, part in enumerate(parts):
        h = g.op("Gemm", part, g.weight(experts.w1[i].T), g.weight(experts.b1[i]), transB=1)
        made.append(g.op("Gemm", gelu(g, h), g.weight(experts.w2[i].T), g.weight(experts.b2[i]), transB=1))
    return made


def drawn(g: Graph, how: str, *shape: int) -> str:
    """A random order along the last axis."""
    if how == "input":
        scores = g.input("noise", list(shape))
    elif how == "like":
        scores = g.op("RandomUniformLike", g.op("ConstantOfShape", g.ints(*shape)), dtype=1)
    else:
        scores = g.op("RandomUniform", shape=shape)
    return g.op("TopK", scores, g.ints(shape[-1]), axis=-1, largest=0, results=2)[1]


def back(g: Graph, tokens: str, order: str, how: str) -> str:
    """The tokens of a batch in the order they came in."""
    count = TOKENS
    if how == "sort":
        return g.op("Gather", tokens, g.op("TopK", order, g.ints(count), largest=0, results=2)[1], axis=0)
    if how == "places":
        zeros, places = g.weight(np.zeros(count), np.int64), g.weight(np.arange(count), np.int64)
        return g.op("Gather", tokens, g.op("ScatterElements", zeros, order, places), axis=0)
    index = g.op("Unsqueeze", order, g.ints(1))
    nothing = g.weight(np.zeros((count, WIDTH)))
    if how == "rows":
        return g.op("ScatterND", nothing, index, tokens)
    return g.op("ScatterElements", nothing, g.op("Expand", index, g.ints(1, WIDTH)), tokens, axis=0)


def partition_of_batch(experts: Experts, form: str, random: str = "plain", home: str = "sort") -> onnx.ModelProto:
    """Tokens of the whole batch dealt out at random."""
    g, width = Graph(), experts.w1.shape[1]
    x = g.input("x", [2, TOKENS // 2, width])
    tokens = g.op("Reshape", x, g.ints(-1, width))
    order = drawn(g, random, TOKENS)
    shuffled = g.op("Gather", tokens, order, axis=0)
    if form == "stacked":
        y = dealt(g, g.op("Reshape", shuffled, g.ints(EXPERTS, -1, width)), experts, "MatMul")
        y = g.op("Reshape", y, g.ints(-1, width))
    else:
        size = TOKENS // EXPERTS
        if form == "split":
            parts = g.op("Split", shuffled, results=EXPERTS, axis=0, num_outputs=EXPERTS)
        elif form == "slices":
            starts = [i * size for i in range(EXPERTS)]
            parts = [g.op("Slice", shuffled, g.ints(at), g.ints(at + size), g.ints(0)) for at in starts]
        else:
            stack = g.op("Reshape", shuffled, g.ints(EXPERTS, -1, width))
            parts = [g.op("Gather", stack, g.weight(i, np.int64), axis=0) for i in range(EXPERTS)]
        y = g.op("Concat", *branches(g, parts, experts), axis=0)
    return g.model(g.op("Reshape", back(g, y, order, home), g.ints(2, -1, width)))


def partition_of_samples(experts: Experts) -> onnx.ModelProto:
    """Tokens of each sample dealt out at random."""
    g = Graph()
    x = g.input("x", [2, TOKENS // 2, WIDTH])
    order = drawn(g, "plain", 2, TOKENS // 2)
    index = g.op("Expand", g.op("Unsqueeze", order, g.ints(-1)), g.ints(1, 1, WIDTH))
    parts = g.op("Reshape", g.op("GatherElements", x, index, axis=1), g.ints(2, EXPERTS, -1, WIDTH))
    y = g.op("Reshape", dealt(g, parts, experts, "Einsum"), g.ints(2, -1, WIDTH))
    return g.model(g.op("ScatterElements", g.weight(np.zeros((2, TOKENS // 2, WIDTH))), index, y, axis=1))


def partitions(experts: Experts) -> dict[str, onnx.ModelProto]:
    """What `merge-experts` is for."""
    found = {"samples": partition_of_samples(experts)}
    for form in ("stacked", "split", "slices", "elements"):
        found[form] = partition_of_batch(experts, form)
    for random in ("like", "input"):
        found[f"drawn, {random}"] = partition_of_batch(experts, "stacked", random)
    for home in ("places", "rows", "scatter"):
        found[f"back, {home}"] = partition_of_batch(experts, "stacked", home=home)
    return found


def ordered_by_tokens(experts: Experts) -> onnx.ModelProto:
    """A near miss: the same, but the tokens' own sums order them."""
    model = partition_of_batch(experts, "stacked")
    (draw,) = [node for node in model.graph.node if node.op_type == "RandomUniform"]
    source = next(node.output[0] for node in model.graph.node if node.op_type == "Reshape")
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "last"))
    sums = helper.make_node("ReduceSum", [source, "last"], list(draw.output), keepdims=0)
    at = list(model.graph.node).index(draw)
    model.graph.node.remove(draw)
    model.graph.node.insert(at, sums)
    return model


WEIGHTS = list(weights())
