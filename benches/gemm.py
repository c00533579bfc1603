#!/usr/bin/env python3
"""Matrix products of one thread: weft and onnxruntime beside the machine's own rate of multiply-adds.

    gemm.py [--seconds S] [--json FILE] [MxNxK ...]

Every shape is a model of one MatMul whose second operand is a weight. The sides and the multiply-adds take turns in
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
from collections.abc import Callable
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
BURST = 0.01
"""Seconds of one burst: short, as a shared machine changes its speed from one moment to the next."""
WANTED = 0.9
"""The share of the multiply-adds that every other shape must reach."""


def model(m: int, n: int, k: int) -> onnx.ModelProto:
    """`y = x w`, with `x: f32[m, k]`."""
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    weights = np.random.default_rng(n).standard_normal((k, n), dtype=np.float32)
    graph = make.make_graph(
        [make.make_node("MatMul", ["x", "w"], ["y"])], "gemm",
        [make.make_tensor_value_info("x", floats, (m, k))], [make.make_tensor_value_info("y", floats, (m, n))],
        [onnx.numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=10)


def sides(shape: tuple[int, int, int], folder: Path) -> list[Callable[[], object]]:
    """A run of weft's artifact and one of onnxruntime, which agree."""
    path = folder / f"{'x'.join(map(str, shape))}.onnx"
    onnx.save(model(*shape), path)
    lib = path.with_suffix(".so")
    ended = weft_cli.compile_lib(path, lib, timeout=300)
    if ended.code:
        raise WeftError(ended.summary())
    x = np.random.default_rng(1).standard_normal((shape[0], shape[2]), dtype=np.float32)
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
    np.testing.assert_allclose(session.outputs()[0], binding.copy_outputs_to_cpu()[0], atol=1e-4 * math.sqrt(shape[2]))
    return [ours, theirs]


def rates(shape: tuple[int, int, int], peak: measure.Peak, folder: Path, seconds: float) -> dict[str, float]:
    """Medians over rounds, in which all take turns: GFLOP/s, the share of the multiply-adds, the ratio to the peer."""
    work = 2e-6 * math.prod(shape)
    runs = [(side, measure.runs_per_burst(side, BURST)) for side in sides(shape, folder)]
    rounds: list[tuple[float, float, float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < measure.MIN_ROUNDS or time.perf_counter() < end:
        ours, theirs = (work / measure.burst(side, count, time.process_time) for side, count in runs)
        rounds.append((ours, theirs, peak.rate(1, BURST)))
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
    parser.add_argument("--seconds", type=float, default=2, help="per shape")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    args = parser.parse_args()
    peak, report = measure.Peak(), {}
    low: list[str] = []
    print(f"{'M x N x K':18}{'weft':>9}{'ort':>9}{'peak':>9}  {'of peak':>8}{'best':>8}{'to ort':>8}   (GFLOP/s, one thread)")
    with tempfile.TemporaryDirectory(prefix="weft-gemm-") as folder:
        for text in args.shapes:
            m, n, k = map(int, text.split("x"))
            report[text] = found = rates((m, n, k), peak, Path(folder), args.seconds)
            row = "{weft:9.1f}{ort:9.1f}{peak:9.1f}  {share:8.1%}{best:8.1%}{ratio:8.2f}".format(**found)
            print(f"{text:18}{row}", flush=True)
            low += [text] if found["share"] < WANTED and text != REPORTED_ONLY else []
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))
    print(f"below {WANTED:.0%} of the peak: {', '.join(low) or 'none'} (not counting {REPORTED_ONLY})")


if __name__ == "__main__":
    main()
