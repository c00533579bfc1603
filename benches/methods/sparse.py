#!/usr/bin/env python3
"""One token through layers of which half the inputs are zero, beside the same layers with all of them.

    sparse.py [--seconds S] [--threads T] [--sparsity S] [--tokens M] [--json FILE] [KxN ...]

A model has as many distinct weights of one shape as make about 130 MB, so that they come from memory as they do in a
language model. Both sides take turns in one run. Prints milliseconds, the rate at which the weights pass (all of them,
whether read or skipped), the ratio, and in the last line the geometric mean of the ratios. With `--tokens M` runs have
more rows, whose products are dense on both sides: that shows what the layout for skipping costs a prompt.
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
BYTES = 130e6
"""Of the weights of a model, about."""


def model(k: int, n: int, limit: float | None) -> onnx.ModelProto:
    """The sum of `x w` over the weights; inputs that do not pass the limit are zero."""
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    count = max(1, round(BYTES / (4 * k * n)))
    weights = [np.random.default_rng(i).standard_normal((k, n), dtype=np.float32) for i in range(count)]
    constants = [onnx.numpy_helper.from_array(weight, f"w{i}") for i, weight in enumerate(weights)]
    nodes, x = [], "x"
    if limit is not None:
        constants += [onnx.numpy_helper.from_array(np.full(k, limit, np.float32), "limit")]
        constants += [onnx.numpy_helper.from_array(np.float32(0), "zero")]
        nodes += [make.make_node("Abs", ["x"], ["size"]), make.make_node("Greater", ["size", "limit"], ["passes"])]
        nodes += [make.make_node("Where", ["passes", "x", "zero"], ["some"])]
        x = "some"
    nodes += [make.make_node("MatMul", [x, f"w{i}"], [f"y{i}"]) for i in range(count)]
    nodes += [make.make_node("Sum", [f"y{i}" for i in range(count)], ["y"])]
    graph = make.make_graph(
        nodes, "sparse",
        [make.make_tensor_value_info("x", floats, ("tokens", k))],
        [make.make_tensor_value_info("y", floats, ("tokens", n))],
        constants,
    )  # fmt: skip
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=10)


def opened(proto: onnx.ModelProto, lib: Path, threads: int):
    """A session of the compiled model."""
    path = lib.with_suffix(".onnx")
    onnx.save(proto, path)
    ended = weft_cli.compile_lib(path, lib, timeout=600)
    path.unlink()
    if ended.code:
        raise WeftError(ended.summary())
    return Artifact(lib).open(threads)


def compare(shape: str, folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of both sides and their ratio; the results agree with numpy's."""
    k, n = map(int, shape.split("x"))
    x = np.random.default_rng(99).standard_normal((arguments.tokens, k), dtype=np.float32)
    limit = float(np.quantile(np.abs(x), arguments.sparsity))
    some = np.where(np.abs(x) > limit, x, np.float32(0))
    runs = []
    for name, bound, inputs in (("dense", None, x), ("sparse", limit, some)):
        proto = model(k, n, bound)
        session = opened(proto, folder / f"{shape}-{name}.so", arguments.threads)
        prepared = session.prepare([x])
        session.run_prepared(prepared)
        total = sum(onnx.numpy_helper.to_array(w) for w in proto.graph.initializer if w.name.startswith("w"))
        np.testing.assert_allclose(session.outputs()[0], inputs @ total, rtol=1e-4, atol=1e-4 * k)
        runs.append(lambda session=session, prepared=prepared: session.run_prepared(prepared))
    pair = measure.alternate(*runs, arguments.threads, arguments.seconds)
    size = 4e-6 * k * n * max(1, round(BYTES / (4 * k * n)))
    return {"dense": pair.ours, "sparse": pair.theirs, "ratio": pair.ratio, "megabytes": size}


def main() -> None:
    """Measures every shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=SHAPES)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sparsity", type=float, default=0.5)
    parser.add_argument("--tokens", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = {}
    print(f"{'layer':>12} {'dense ms':>9} {'GB/s':>6} {'sparse ms':>9} {'GB/s':>6} {'ratio':>6}")
    for shape in arguments.shapes or SHAPES:
        with tempfile.TemporaryDirectory(prefix="weft-sparse-") as folder:
            row = found[shape] = compare(shape, Path(folder), arguments)
        rate = [row["megabytes"] / row[side] for side in ("dense", "sparse")]
        print(f"{shape:>12} {row['dense']:9.2f} {rate[0]:6.1f} {row['sparse']:9.2f} {rate[1]:6.1f} {row['ratio']:6.2f}")
    mean = math.exp(sum(math.log(row["ratio"]) for row in found.values()) / len(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    print(f"sparse{round(arguments.sparsity * 100)}-vs-dense {mean:.2f}")


if __name__ == "__main__":
    main()
