"""Writes models with ONNX Runtime's mixtures of experts, and computes them in double precision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MOE = ["x", "router", "w1", "b1", "w2", "b2", "w3", "b3"]
QMOE = ["x", "router", "w1", "s1", "b1", "w2", "s2", "b2", "w3", "s3", "b3", "z1", "z2", "z3", "mixing"]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def gelu(x: np.ndarray) -> np.ndarray:
    """By the hyperbolic tangent."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu2": lambda x: np.maximum(x, 0) ** 2,
    "gelu": gelu,
    "silu": lambda x: x * sigmoid(x),
}


@dataclass(frozen=True)
class Mixture:
    """A mixture of experts, with weights drawn at random."""

    name: str
    activation: str = "relu"
    chosen: int = 2
    experts: int = 4
    width: int = 32
    hidden: int = 48
    fusion: int = 0
    third: bool = False
    biases: bool = True
    attributes: dict[str, Any] = field(default_factory=dict)
    bits: int = 0
    """Of the weights; 0 for floats."""
    block: int = 0
    zeros: bool = False
    mixing: bool = False
    """Whether gates are an input of their own."""
    spread: float = 1.0
    """How far experts are from their average."""
    tokens: tuple[int | str, ...] = ("N",)
    in_runtime: bool = True
    """Whether onnxruntime has a kernel for it on processors."""

    def drawn(self) -> dict[str, np.ndarray]:
        """The operands but for the tokens; `d1` to `d3` are the weights that the codes stand for."""
        rng = np.random.default_rng(abs(hash_of(self.name)))
        drawn = {"wr": np.float32(rng.normal(size=(self.width, self.experts)))}
        layers = {1: (self.hidden * (2 if self.fusion else 1), self.width), 2: (self.width, self.hidden)}
        if self.third:
            layers[3] = (self.hidden, self.width)
        for layer, (rows, inputs) in layers.items():
            if self.biases:
                drawn[f"b{layer}"] = self.close(rng, (rows,))
            if self.bits:
                drawn |= self.coded(rng, layer, rows, inputs)
            else:
                drawn[f"w{layer}"] = drawn[f"d{layer}"] = self.close(rng, (rows, inputs)) / np.float32(inputs**0.5)
        return drawn

    def close(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Weights of all experts."""
        own = rng.normal(size=(self.experts, *shape))
        return np.float32(own if self.spread == 1.0 else rng.normal(size=shape) + self.spread * own)

    def coded(self, rng: np.random.Generator, layer: int, rows: int, inputs: int) -> dict[str, np.ndarray]:
        """Codes, scales and zero points of a layer."""
        codes = rng.integers(0, 2**self.bits, (rows, inputs))
        own = rng.integers(0, 2**self.bits, (self.experts, rows, inputs))
        codes = own if self.spread == 1.0 else np.minimum(codes + np.rint(self.spread * own), 2**self.bits - 1)
        codes, block = np.broadcast_to(codes, own.shape).astype(int), self.block or inputs
        scales = np.float32(rng.uniform(0.2, 0.4, (rows, inputs // block)) / 2**self.bits)
        scales = np.repeat(scales[None], self.experts, 0)
        middles = np.full(scales.shape, 2 ** (self.bits - 1))
        drawn = rng.integers(0, 2**self.bits, scales.shape[1:])
        zeros = np.repeat(drawn[None], self.experts, 0) if self.zeros else middles
        exact = (codes - np.repeat(zeros, block, 2)) * np.repeat(scales, block, 2)
        drawn = {f"d{layer}": np.float32(exact), f"w{layer}": self.packed(codes)}
        drawn[f"s{layer}"] = scales if self.block else scales[..., 0]
        if self.zeros:
            drawn[f"z{layer}"] = self.packed(zeros if self.block else zeros[..., 0])
        return drawn

    def packed(self, codes: np.ndarray) -> np.ndarray:
        """Codes side by side in bytes, along the last axis."""
        per = 8 // self.bits
        codes = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, -codes.shape[-1] % per)])
        codes = codes.reshape(*codes.shape[:-1], -1, per) << (np.arange(per) * self.bits)
        return codes.sum(-1).astype(np.uint8)

    def model(self) -> onnx.ModelProto:
        """`y` of `x`, with a router in front."""
        drawn = self.drawn()
        order = QMOE if self.bits else MOE
        known = {"x", "router", *drawn} | ({"mixing"} if self.mixing else set())
        names = [name if name in known else "" for name in order]
        while not names[-1]:
            names.pop()
        attributes = {"k": self.chosen, "activation_type": self.activation, **self.attributes}
        if self.fusion:
            attributes["swiglu_fusion"] = self.fusion
        if self.bits:
            attributes["expert_weight_bits"] = self.bits
        if self.block:
            attributes["block_size"] = self.block
        floats = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        inputs = [floats("x", [*self.tokens, self.width])]
        if self.mixing:
            inputs.append(floats("mixing", [None, self.experts]))
        shape = numpy_helper.from_array(np.array([-1, self.width]), "matrix")
        nodes = [
            helper.make_node("Reshape", ["x", "matrix"], ["rows"]),
            helper.make_node("MatMul", ["rows", "wr"], ["router"]),
            helper.make_node("QMoE" if self.bits else "MoE", names, ["y"], domain="com.microsoft", **attributes),
        ]
        used = {"wr", *names}
        weights = [numpy_helper.from_array(drawn[name], name) for name in drawn if name in used]
        graph = helper.make_graph(nodes, "main", inputs, [floats("y", None)], [shape, *weights])
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def expected(self, x: np.ndarray, mixing: np.ndarray | None = None) -> np.ndarray:
        """What comes out, as the operator's definition has it."""
        drawn = {name: np.float64(array) for name, array in self.drawn().items()}
        rows = np.float64(x).reshape(-1, self.width)
        scores, y = rows @ drawn["wr"], np.zeros_like(rows)
        for row, score in enumerate(scores):
            best = np.argsort(-score, kind="stable")[: self.chosen]
            for expert, gate in zip(best, self.gates(score, best, None if mixing is None else mixing[row])):
                y[row] += gate * self.layer(drawn, 2, expert, self.within(drawn, expert, rows[row]))
        return y.reshape(x.shape)

    def gates(self, score: np.ndarray, best: np.ndarray, mixing: np.ndarray | None) -> np.ndarray:
        """What the chosen experts count."""
        normalised = self.attributes.get("normalize_routing_weights", 0) or (self.bits and mixing is None)
        of = np.exp(score - score.max()) if mixing is None else np.float64(mixing)
        return of[best] / (of[best].sum() if normalised else of.sum() if mixing is None else 1)

    @staticmethod
    def layer(drawn: dict[str, np.ndarray], number: int, expert: int, x: np.ndarray) -> np.ndarray:
        """A layer of an expert."""
        bias = drawn.get(f"b{number}")
        return drawn[f"d{number}"][expert] @ x + (0 if bias is None else bias[expert])

    def within(self, drawn: dict[str, np.ndarray], expert: int, x: np.ndarray) -> np.ndarray:
        """What goes into the last layer of an expert."""
        gate = self.layer(drawn, 1, expert, x)
        if self.fusion:
            even, odd = slice(0, None, 2), slice(1, None, 2)
            gate, linear = (gate[even], gate[odd]) if self.fusion == 1 else np.split(gate, 2)
        else:
            linear = self.layer(drawn, 3, expert, x) if self.third else np.ones(1)
        if self.activation == "geglu":
            return gelu(gate) * linear
        if self.activation != "swiglu":
            return ACTIVATIONS[self.activation](gate) * linear
        limit, alpha = self.attributes.get("swiglu_limit", np.inf), self.attributes.get("activation_alpha", 1.0)
        gate, linear = np.minimum(gate, limit), np.clip(linear, -limit, limit)
        return gate * sigmoid(alpha * gate) * (linear + self.attributes.get("activation_beta", 0.0))


def hash_of(name: str) -> int:
    """The same number for the same name in every process."""
    return int.from_bytes(name.encode()[-8:], "little")


NORMALISED = {"normalize_routing_weights": 1}
LIMITED = {"activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 0.8, **NORMALISED}
PLAIN = [
    *(Mixture(f"{kind} of {k}", kind, k) for kind in ("relu", "gelu", "silu", "identity") for k in (1, 2, 4)),
    Mixture("normalised", attributes=NORMALISED),
    Mixture("no biases", "silu", biases=False, attributes=NORMALISED),
    Mixture("batches", "gelu", tokens=("B", "S"), attributes=NORMALISED),
    Mixture("odd sizes", "silu", 3, experts=7, width=13, hidden=29),
    Mixture("interleaved", "swiglu", fusion=1, attributes=LIMITED),
    Mixture("interleaved, no limit", "swiglu", fusion=1),
    Mixture("halves", "swiglu", fusion=2, attributes=LIMITED, in_runtime=False),
    Mixture("gate apart", "swiglu", third=True, attributes=LIMITED, in_runtime=False),
    Mixture("gated silu", "silu", third=True, attributes=NORMALISED, in_runtime=False),
    Mixture("geglu", "geglu", fusion=2, in_runtime=False),
    Mixture("relu squared", "relu2", in_runtime=False),
]
CODED = [
    *(
        Mixture(f"{bits} bits by {block} {zeros}", "silu", bits=bits, block=block, zeros=zeros)
        for bits in (2, 4, 8)
        for block in (0, 16)
        for zeros in (False, True)
    ),
    Mixture("coded gelu", "gelu", 1, bits=4, block=16, attributes=NORMALISED),
    Mixture("coded, interleaved", "swiglu", bits=4, block=16, zeros=True, fusion=1, attributes=LIMITED),
    Mixture("by row, interleaved", "swiglu", bits=4, zeros=True, fusion=1, attributes=LIMITED),
    Mixture("coded halves", "swiglu", bits=4, zeros=True, fusion=2, attributes=LIMITED, in_runtime=False),
    Mixture("coded gate", "silu", bits=4, block=16, zeros=True, third=True, in_runtime=False),
    Mixture("mixing", "silu", bits=4, block=16, mixing=True),
    Mixture("mixing, normalised", "silu", bits=8, mixing=True, attributes=NORMALISED),
    Mixture("coded batches", "silu", bits=4, block=16, tokens=("B", "S")),
    Mixture("coded, odd sizes", "relu", 3, experts=7, width=26, hidden=30, bits=4, zeros=True),
]
CLOSE = [
    Mixture("close", "gelu", spread=0.02, tokens=("B", "S")),
    Mixture("close, gated", "silu", third=True, spread=0.02, attributes=NORMALISED),
    Mixture("close, interleaved", "swiglu", fusion=1, spread=0.02, attributes=LIMITED),
    Mixture("close, of codes", "silu", bits=8, block=16, zeros=True, spread=0.02),
]
