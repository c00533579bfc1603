"""The decoders that decode.py compares, in the form of each side: SmolLM2, and one of 853 million random weights."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fetch
import numpy as np
import onnx
import q4
import smollm2
from gguf import Gguf
from onnx import TensorProto, helper, numpy_helper

EXTERNAL = 1 << 16
"""Constants of more bytes lie in a file beside the model."""


class Generated:
    """Random weights in the shapes of a decoder of Llama's kind, the same each time."""

    def __init__(self, layers: int, width: int, heads: tuple[int, int], inner: int, vocabulary: int) -> None:
        self.fields: dict[str, Any] = {
            "llama.block_count": layers, "llama.embedding_length": width, "llama.feed_forward_length": inner,
            "llama.attention.head_count": heads[0], "llama.attention.head_count_kv": heads[1],
            "llama.context_length": 2048, "llama.rope.freq_base": 10000.0,
            "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.vocab_size": vocabulary,
        }  # fmt: skip
        shared = width // heads[0] * heads[1]
        self.shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocabulary, width)}
        parts = {"attn_norm": (width,), "attn_q": (width, width), "attn_k": (shared, width), "attn_v": (shared, width),
                 "attn_output": (width, width), "ffn_norm": (width,), "ffn_gate": (inner, width),
                 "ffn_up": (inner, width), "ffn_down": (width, inner)}  # fmt: skip
        for layer in range(layers):
            self.shapes |= {f"blk.{layer}.{part}.weight": shape for part, shape in parts.items()}
        self.shapes |= {"output_norm.weight": (width,), "output.weight": (vocabulary, width)}

    def __contains__(self, name: str) -> bool:
        return name in self.shapes

    def tensor(self, name: str) -> np.ndarray:
        """Of a size that keeps activations in bounds; norms scale by 1."""
        shape = self.shapes[name]
        if len(shape) == 1:
            return np.ones(shape, np.float32)
        numbers = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, np.float32)
        return numbers * np.float32(shape[1] ** -0.5)


def source(name: str) -> smollm2.Source:
    """The weights of a model by its name."""
    return MODELS[name]()


MODELS = {
    "smollm2": lambda: Gguf(fetch.fetch(fetch.row("smollm2"))),
    "llama-0.9b": lambda: Generated(16, 2048, (32, 8), 5632, 32000),
    "small": lambda: Generated(2, 256, (8, 2), 512, 1024),
}
"""By name; `small` tries the tool out."""


class Exact(smollm2.Decoder):
    """The decoder in f32, its weights in a file beside it."""

    def __init__(self, weights: smollm2.Source, path: Path) -> None:
        super().__init__(weights)
        self.path, self.beside = path, path.with_suffix(".weights")

    def stored(self, name: str, array: np.ndarray) -> onnx.TensorProto:
        """Writes what is large to the file."""
        if array.nbytes < EXTERNAL:
            return super().stored(name, array)
        with self.beside.open("ab") as out:
            offset = out.tell()
            array.tofile(out)
        held = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=array.shape, data_location=TensorProto.EXTERNAL)
        for key, value in (("location", self.beside.name), ("offset", offset), ("length", array.nbytes)):
            held.external_data.add(key=key, value=str(value))
        return held

    def save(self) -> Path:
        """Writes both files."""
        self.beside.unlink(missing_ok=True)
        onnx.save(self.build(), self.path)
        return self.path


class Blocks(smollm2.Decoder):
    """The decoder as onnxruntime's own tools make it: matrices of 4 bits, one operator for all of attention."""

    def linear(self, x: str, name: str, heads: int = 0, result: str = "") -> str:
        """The product with a matrix in blocks; activations are rounded to 8 bits, as in llama.cpp."""
        matrix = self.matrix(name, heads)
        rows, depth = matrix.shape
        codes, scales = q4.n_bits(matrix)
        self.weights[f"{name}.codes"] = numpy_helper.from_array(codes, f"{name}.codes")
        return self.node(
            "MatMulNBits", x, f"{name}.codes", self.weight(f"{name}.scales", scales), result=result,
            domain="com.microsoft", K=depth, N=rows, bits=4, block_size=q4.SIZE, accuracy_level=4,
        )  # fmt: skip

    def output_of(self, x: str) -> str:
        """The logits, by the embedding in blocks where there is no other matrix."""
        return self.linear(x, "output.weight" if "output.weight" in self.source else "token_embd.weight", result="logits")

    def positions(self) -> None:
        """What its attention asks for: lengths, and the tables for half a head."""
        past = self.node("Shape", "past_key_values.0.key", start=2, end=3)
        self.total = self.node("Add", self.node("Shape", "input_ids", start=1, end=2), past)
        last = self.node("Sub", self.total, self.ints(1))
        to = {"to": TensorProto.INT32}
        batch = self.node("Shape", "input_ids", start=0, end=1)
        self.last = self.node("Cast", self.node("Expand", last, batch), **to)
        self.length = self.node("Cast", self.node("Squeeze", self.total, self.ints(0)), **to)
        angles = np.arange(self.context)[:, None] / self.base ** (np.arange(0, self.head, 2) / self.head)
        self.cos, self.sin = self.weight("cos", np.cos(angles)), self.weight("sin", np.sin(angles))

    def attention(self, x: str, layer: int) -> str:
        """All but the products with matrices in one operator."""
        block = f"blk.{layer}.attn_"
        query = self.linear(x, block + "q.weight", self.heads)
        key = self.linear(x, block + "k.weight", self.kv_heads)
        value = self.linear(x, block + "v.weight")
        past, present = ([f"{side}.{layer}.{kind}" for kind in smollm2.KINDS] for side in ("past_key_values", "present"))
        mixed = f"attention_{layer}"
        self.nodes.append(helper.make_node(
            "GroupQueryAttention", [query, key, value, *past, self.last, self.length, self.cos, self.sin],
            [mixed, *present], name=f"n{len(self.nodes)}_attention", domain="com.microsoft",
            num_heads=self.heads, kv_num_heads=self.kv_heads, do_rotary=1,
        ))  # fmt: skip
        return self.linear(mixed, block + "output.weight")

    def save(self, path: Path) -> Path:
        """Writes the file."""
        made = self.build()
        made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        onnx.save(made, path)
        return path


def names(weights: smollm2.Source) -> Iterator[str]:
    """The tensors of a decoder."""
    yield "token_embd.weight"
    for layer in range(weights.fields["llama.block_count"]):
        for part in ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"):
            yield f"blk.{layer}.{part}.weight"
    yield "output_norm.weight"
    if "output.weight" in weights:
        yield "output.weight"


def save_gguf(weights: smollm2.Source, path: Path) -> Path:
    """The decoder as llama.cpp reads it, without its tokens' texts."""
    fields: dict[str, q4.Field] = {"general.architecture": "llama", "tokenizer.ggml.model": "no_vocab"}
    fields |= {name: value for name, value in weights.fields.items() if name.startswith("llama.")}
    fields["llama.vocab_size"] = len(weights.tensor("token_embd.weight"))
    q4.write(path, fields, ((name, weights.tensor(name)) for name in names(weights)))
    return path
