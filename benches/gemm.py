#!/usr/bin/env python3
"""Matrix products of one thread: weft and onnxruntime beside the machine's own rate of multiply-adds.

    gemm.py [--forms f32 bytes rounded] [--seconds S] [--json FILE] [MxNxK ...]

Every shape is a model of one MatMul whose second operand is a weight: of numbers, of bytes with sums in 32 bits
(MatMulInteger), and of numbers that are rounded to bytes in the run (DynamicQuantizeLinear before it). The sides and the multiply-adds take turns in
one run; each is timed by the processor time it took. Prints the medians of GFLOP/s, of the share of the rate and of the
ratio, and the share of the best twentieth: on a shared machine neighbours take their part of the caches, which leaves
the multiply-adds of registers alone.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "python"), str(TESTS / "models")]

import peers_measure as measure  # noqa: E402
import weft_cli  # noqa: E402
from weft_artifact import Artifact, WeftError  # noqa: E402

# M x N x K: a square, two layers of BERT, three convolutions of ResNet-50 as products, and one that is mostly a call.
SHAPES = ["1024x1024x1024", "128x768x768", "128x768x3072", "3136x64x576", "784x128x1152", "49x512x4608", "64x64x64"]
REPORTED_ONLY = "64x64x64"
make, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
BURST = 0.01
"""Seconds of one burst: short, as a shared machine changes its speed from one moment to the next."""
WANTED = 0.9
"""The share of the multiply-adds that every other shape must reach."""


def of_numbers(m: int, n: int, k: int) -> onnx.ModelProto:
    """`y = x w`, with `x: f32[m, k]`."""
    weights = np.random.default_rng(n).standard_normal((k, n), dtype=np.float32)
    return model([make.make_node("MatMul", ["x", "w"], ["y"])], (FLOAT, (m, k)), (FLOAT, (m, n)), {"w": weights})


def of_bytes(m: int, n: int, k: int) -> onnx.ModelProto:
    """`y = x w` in integers, with `x: u8[m, k]`."""
    node = make.make_node("MatMulInteger", ["x", "w"], ["y"])
    return model([node], (onnx.TensorProto.UINT8, (m, k)), (onnx.TensorProto.INT32, (m, n)), {"w": small(k, n)})


def of_rounded(m: int, n: int, k: int) -> onnx.ModelProto:
    """`y = x w` with `x: f32[m, k]` rounded to bytes in the run, as dynamic quantisation writes it."""
    nodes = [
        make.make_node("DynamicQuantizeLinear", ["x"], ["bytes", "scale", "zero"]),
        make.make_node("MatMulInteger", ["bytes", "w", "zero"], ["sums"]),
        make.make_node("Cast", ["sums"], ["numbers"], to=FLOAT),
        make.make_node("Mul", ["scale", "step"], ["steps"]),
        make.make_node("Mul", ["numbers", "steps"], ["y"]),
    ]
    return model(nodes, (FLOAT, (m, k)), (FLOAT, (m, n)), {"w": small(k, n), "step": np.float32(0.01)})


def small(k: int, n: int) -> np.ndarray:
    """A matrix of bytes, which processors without VNNI may take two at a time, too."""
    return np.random.default_rng(n).integers(-64, 64, (k, n), np.int8)


def model(
    nodes: list[onnx.NodeProto], x: tuple[int, Sequence[int]], y: tuple[int, Sequence[int]], weights: dict[str, np.ndarray]
) -> onnx.ModelProto:
    """A model of these nodes, from `x` to `y`."""
    held = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    ports = [[make.make_tensor_value_info(name, *port)] for name, port in (("x", x), ("y", y))]
    graph = make.make_graph(nodes, "gemm", *ports, held)
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=10)


FORMS = {"f32": of_numbers, "bytes": of_bytes, "rounded": of_rounded}
"""What is multiplied: numbers, bytes, and numbers that are rounded to bytes first."""


def sides(form: str, shape: tuple[int, int, int], folder: Path) -> list[Callable[[], object]]:
    """A run of weft's artifact and one of onnxruntime, which agree."""
    path = folder / f"{form}-{'x'.join(map(str, shape))}.onnx"
    onnx.save(FORMS[form](*shape), path)
    lib = path.with_suffix(".so")
    ended = weft_cli.compile_lib(path, lib, timeout=300)
    if ended.code:
        raise WeftError(ended.summary())
    rng, dims = np.random.default_rng(1), (shape[0], shape[2])
    x = rng.integers(0, 256, dims, np.uint8) if form == "bytes" else rng.standard_normal(dims, dtype=np.float32)
    session = Artifact(lib).open(1)
    prepared = session.prepare([x])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    peer = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    binding = peer.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("y")
    ours, theirs = (lambda: session.run_prepared(prepared)), (lambda: peer.run_with_iobinding(binding))
    ours(), theirs()
    near = {"f32": 1e-4, "bytes": 0, "rounded": 1e-3}[form] * math.sqrt(shape[2])
    np.testing.assert_allclose(session.outputs()[0], binding.copy_outputs_to_cpu()[0], atol=near)
    return [ours, theirs]


def rates(form: str, shape: tuple[int, int, int], peak: measure.Peak, folder: Path, seconds: float) -> dict[str, float]:
    """Medians over rounds, in which all take turns: operations, the share of the multiply-adds, the ratio to the peer."""
    work, most_of = 2e-6 * math.prod(shape), peak.rate if form == "f32" else peak.byte_rate
    runs = [(side, measure.runs_per_burst(side, BURST)) for side in sides(form, shape, folder)]
    rounds: list[tuple[float, float, float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < measure.MIN_ROUNDS or time.perf_counter() < end:
        ours, theirs = (work / measure.burst(side, count, time.process_time) for side, count in runs)
        rounds.append((ours, theirs, most_of(1, BURST)))
    ours, theirs, most = (statistics.median(column) for column in zip(*rounds, strict=True))
    share = statistics.median(row[0] / row[2] for row in rounds)
    ratio = statistics.median(row[0] / row[1] for row in rounds)
    fastest = [statistics.quantiles(column, n=20)[-1] for column in zip(*rounds, strict=True)]
    best = fastest[0] / fastest[2]
    return {"weft": ours, "ort": theirs, "peak": most, "share": share, "ratio": ratio, "best": best}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=SHAPES, metavar="MxNxK")
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=list(FORMS))
    parser.add_argument("--seconds", type=float, default=2, help="per shape")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    args = parser.parse_args()
    peak, report = measure.Peak(), {}
    low: list[str] = []
    with tempfile.TemporaryDirectory(prefix="weft-gemm-") as folder:
        for form in args.forms:
            unit = "GFLOP/s" if form == "f32" else "GOP/s"
            print(f"{form + ': M x N x K':20}{'weft':>9}{'ort':>9}{'peak':>9}  {'of peak':>8}{'best':>8}{'to ort':>8}   ({unit}, one thread)")
            for text in args.shapes:
                m, n, k = map(int, text.split("x"))
                report[f"{form} {text}"] = found = rates(form, (m, n, k), peak, Path(folder), args.seconds)
                row = "{weft:9.1f}{ort:9.1f}{peak:9.1f}  {share:8.1%}{best:8.1%}{ratio:8.2f}".format(**found)
                print(f"{text:20}{row}", flush=True)
                low += [text] if form == "f32" and found["share"] < WANTED and text != REPORTED_ONLY else []
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))
    if "f32" in args.forms:
        print(f"below {WANTED:.0%} of the peak of f32: {', '.join(low) or 'none'} (not counting {REPORTED_ONLY})")


if __name__ == "__main__":
    main()
