#!/usr/bin/env python3
"""One token through layers of which half the inputs are zero, beside the same layers with all of them.

    sparse.py [--seconds S] [--threads T] [--sparsity S] [--tokens M] [--forms FORM ...] [--json FILE] [KxN ...]

A model has as many distinct weights of one shape as make about 130 MB of `f32`, or 65 MB of codes, so that they come from
memory as they do in a language model. Weights are `f32`, or codes of 4 bits with one scale and zero point for each 128 columns
of an input channel (`int4-ic`) or for each 128 input channels of a column (`int4-oc`). Both sides take turns in one run.
Prints milliseconds, the rate at which the weights pass (all of them, whether read or skipped), the ratio, the geometric mean
of the ratios of each form, and in the last line that of `f32`. With `--tokens M` runs have more rows, whose products are dense
on both sides: that shows what the layout for skipping costs a prompt.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

BENCHES = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(BENCHES), str(BENCHES.parent / "tests" / "python")]

import peers_measure as measure  # noqa: E402
import weft_cli  # noqa: E402
from weft_artifact import Artifact, WeftError  # noqa: E402

# Inputs x outputs of layers of TinyLlama 1.1B and Llama-2 7B.
SHAPES = ["2048x2048", "2048x5632", "4096x4096", "4096x11008"]
FORMS = {"int4-ic": 1, "int4-oc": 0, "f32": None}
"""Weights, and along which axis codes share a scale."""
GROUP = 128
BYTES = {"f32": 130e6, "int4-ic": 65e6, "int4-oc": 65e6}
"""Of the weights of a model, about."""


def size(form: str, k: int, n: int) -> float:
    """Bytes of one matrix, those of scales left out."""
    return (4 if form == "f32" else 0.5) * k * n


def count(form: str, k: int, n: int) -> int:
    """How many matrices a model has."""
    return max(1, round(BYTES[form] / size(form, k, n)))


def grouped(matrix: np.ndarray, axis: int) -> np.ndarray:
    """The numbers that share a scale, on the axis behind `axis`."""
    k, n = matrix.shape
    group = math.gcd(GROUP, matrix.shape[axis])
    return matrix.reshape((k, n // group, group) if axis else (k // group, group, n))


def rounded(
    weight: np.ndarray, i: int, axis: int
) -> tuple[list[onnx.TensorProto], onnx.NodeProto, np.ndarray]:
    """A matrix in 4 bits, what gives it back, and the numbers that the codes stand for."""
    make, parts = onnx.helper, grouped(weight, axis)
    low, high = (f(parts, axis=axis + 1, keepdims=True) for f in (np.min, np.max))
    scales = ((high - low) / 15).astype(np.float16).astype(np.float32)
    zeros = np.clip(np.rint(-low / scales), 0, 15)
    codes = np.clip(np.rint(parts / scales) + zeros, 0, 15)

    def packed(name: str, numbers: np.ndarray) -> onnx.TensorProto:
        flat = np.append(numbers.reshape(-1), [0] * (numbers.size % 2)).astype(np.uint8)
        data = bytes(flat[::2] | flat[1::2] << 4)
        return make.make_tensor(name, onnx.TensorProto.UINT4, numbers.shape, data, raw=True)

    scale = onnx.numpy_helper.from_array(scales.squeeze(axis + 1), f"s{i}")
    tensors = [packed(f"q{i}", codes.reshape(weight.shape)), scale, packed(f"z{i}", zeros.squeeze(axis + 1))]
    group = parts.shape[axis + 1]
    node = make.make_node("DequantizeLinear", [f"q{i}", f"s{i}", f"z{i}"], [f"w{i}"], axis=axis, block_size=group)
    return tensors, node, ((codes - zeros) * scales).reshape(weight.shape)


def model(form: str, k: int, n: int, limit: float | None) -> tuple[onnx.ModelProto, np.ndarray]:
    """The sum of `x w` over the weights, where inputs that do not pass the limit are zero; and the sum of the weights."""
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    constants, nodes, x, total = [], [], "x", np.zeros((k, n), np.float32)
    if limit is not None:
        constants += [onnx.numpy_helper.from_array(np.full(k, limit, np.float32), "limit")]
        constants += [onnx.numpy_helper.from_array(np.float32(0), "zero")]
        nodes += [make.make_node("Abs", ["x"], ["size"]), make.make_node("Greater", ["size", "limit"], ["passes"])]
        nodes += [make.make_node("Where", ["passes", "x", "zero"], ["some"])]
        x = "some"
    matrices = count(form, k, n)
    for i in range(matrices):
        weight = np.random.default_rng(i).standard_normal((k, n), dtype=np.float32)
        if (axis := FORMS[form]) is None:
            constants.append(onnx.numpy_helper.from_array(weight, f"w{i}"))
        else:
            tensors, node, weight = rounded(weight, i, axis)
            constants += tensors
            nodes.append(node)
        total += weight
        nodes.append(make.make_node("MatMul", [x, f"w{i}"], [f"y{i}"]))
    nodes += [make.make_node("Sum", [f"y{i}" for i in range(matrices)], ["y"])]
    graph = make.make_graph(
        nodes, "sparse",
        [make.make_tensor_value_info("x", floats, ("tokens", k))],
        [make.make_tensor_value_info("y", floats, ("tokens", n))],
        constants,
    )  # fmt: skip
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 21)], ir_version=10), total


def opened(proto: onnx.ModelProto, lib: Path, threads: int):
    """A session of the compiled model."""
    path = lib.with_suffix(".onnx")
    onnx.save(proto, path)
    ended = weft_cli.compile_lib(path, lib, timeout=600)
    path.unlink()
    if ended.code:
        raise WeftError(ended.summary())
    return Artifact(lib).open(threads)


def compare(form: str, shape: str, folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of both sides and their ratio; the results agree with numpy's."""
    k, n = map(int, shape.split("x"))
    x = np.random.default_rng(99).standard_normal((arguments.tokens, k), dtype=np.float32)
    limit = float(np.quantile(np.abs(x), arguments.sparsity))
    some = np.where(np.abs(x) > limit, x, np.float32(0))
    runs = []
    for name, bound, inputs in (("dense", None, x), ("sparse", limit, some)):
        proto, total = model(form, k, n, bound)
        session = opened(proto, folder / f"{form}-{shape}-{name}.so", arguments.threads)
        prepared = session.prepare([x])
        session.run_prepared(prepared)
        np.testing.assert_allclose(session.outputs()[0], inputs @ total, rtol=1e-4, atol=1e-4 * k)
        runs.append(lambda session=session, prepared=prepared: session.run_prepared(prepared))
    pair = measure.alternate(*runs, arguments.threads, arguments.seconds)
    megabytes = 1e-6 * size(form, k, n) * count(form, k, n)
    return {"dense": pair.ours, "sparse": pair.theirs, "ratio": pair.ratio, "megabytes": megabytes}


def table(form: str, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measures and prints every shape in a form."""
    found = {}
    print(f"{form:>12} {'dense ms':>9} {'GB/s':>6} {'sparse ms':>9} {'GB/s':>6} {'ratio':>6}")
    for shape in arguments.shapes or SHAPES:
        with tempfile.TemporaryDirectory(prefix="weft-sparse-") as folder:
            row = found[shape] = compare(form, shape, Path(folder), arguments)
        rate = [row["megabytes"] / row[side] for side in ("dense", "sparse")]
        times = f"{row['dense']:9.3f} {rate[0]:6.1f} {row['sparse']:9.3f} {rate[1]:6.1f}"
        print(f"{shape:>12} {times} {row['ratio']:6.2f}", flush=True)
    return found


def main() -> None:
    """Measures every form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=SHAPES)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sparsity", type=float, default=0.5)
    parser.add_argument("--tokens", type=int, default=1)
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), default=list(FORMS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = {form: table(form, arguments) for form in FORMS if form in arguments.forms}
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    for form, rows in found.items():
        mean = math.exp(sum(math.log(row["ratio"]) for row in rows.values()) / len(rows))
        what = "sparse" if form == "f32" else f"{form}-sparse"
        print(f"{what}{round(arguments.sparsity * 100)}-vs-dense {mean:.2f}")


if __name__ == "__main__":
    main()
