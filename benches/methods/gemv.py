#!/usr/bin/env python3
"""Products of one row with weights of 4 bits: weft beside llama.cpp's Q4_0 and the memory's own rate.

    gemv.py [--threads 1 2] [--seconds S] [--json FILE] [KxN ...]

Every shape is a model of as many products with distinct weights as fill 95 MB, so that no cache holds them. weft has one
scale for each 128 columns of an input channel (per-IC) and computes in f32; llama.cpp has one for each 32 input channels
and rounds the row to 8 bits. The sides and a plain read of as much memory take turns in bursts of one process: one
thread is timed by the processor time it took, two by the time that passed. Rates count the bytes of weights and scales.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "benches"), str(ROOT / "tests/python"), str(ROOT / "tests/models")]

import ggml  # noqa: E402
import peers_measure as measure  # noqa: E402
import weft_cli  # noqa: E402
from weft_artifact import Artifact, WeftError  # noqa: E402

SHAPES = ["2048x2048", "2048x5632", "4096x4096", "4096x11008"]
GROUP = 128
CHAIN = 95_000_000
"""Bytes of the codes of all products of a model."""
BURST = 0.06


class Memory:
    """Memory that is read as a whole."""

    def __init__(self, folder: Path, size: int) -> None:
        path = folder / "read.so"
        flags = ["-O3", "-march=native", "-pthread", "-shared", "-fPIC"]
        subprocess.run(["cc", *flags, "-o", path, HERE / "read.c"], check=True)
        self.size, self.library = size, ctypes.CDLL(str(path))
        self.library.memory.restype, self.library.memory.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self.library.read_all.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self.room = self.library.memory(size)

    def read(self, threads: int) -> None:
        """Reads it once."""
        self.library.read_all(self.room, self.size, threads)


def count(depth: int, columns: int) -> int:
    """How many products fill the chain."""
    return math.ceil(CHAIN * 2 / (depth * columns))


def dequantised(numbers: np.ndarray, name: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto], np.ndarray]:
    """`[K, N]` numbers in 4 bits with a scale for each group of columns, and what they stand for."""
    make = onnx.helper
    depth, columns = numbers.shape
    grouped = numbers.reshape(depth, -1, GROUP)
    scales = (np.abs(grouped).max(axis=-1, keepdims=True) / 7).astype(np.float16).astype(np.float32)
    codes = np.clip(np.rint(grouped / scales), -8, 7).astype(np.int8)
    flat = codes.reshape(-1).view(np.uint8) & 15
    packed = make.make_tensor(f"q{name}", onnx.TensorProto.INT4, (depth, columns), bytes(flat[::2] | flat[1::2] << 4), raw=True)
    tensors = [packed, onnx.numpy_helper.from_array(scales[..., 0], f"s{name}")]
    nodes = [
        make.make_node("DequantizeLinear", [f"q{name}", f"s{name}"], [f"w{name}"], axis=1, block_size=GROUP),
        make.make_node("MatMul", ["x", f"w{name}"], [f"y{name}"]),
    ]
    return nodes, tensors, (codes * scales).reshape(depth, columns)


def model(depth: int, columns: int) -> tuple[onnx.ModelProto, np.ndarray]:
    """The products, and the first matrix."""
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes, tensors, outputs, first = [], [], [], None
    for i in range(count(depth, columns)):
        numbers = np.random.default_rng(i).standard_normal((depth, columns), dtype=np.float32)
        more_nodes, more_tensors, matrix = dequantised(numbers, str(i))
        first = matrix if first is None else first
        nodes += more_nodes
        tensors += more_tensors
        outputs.append(make.make_tensor_value_info(f"y{i}", floats, (1, columns)))
    inputs = [make.make_tensor_value_info("x", floats, (1, depth))]
    graph = make.make_graph(nodes, "gemv", inputs, outputs, tensors)
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 21)], ir_version=10), first


def close(found: np.ndarray, expected: np.ndarray, tolerance: float, who: str) -> None:
    """Fails unless the results agree as far as the side's activations allow."""
    error = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not error < tolerance:
        raise WeftError(f"{who} is off by {error:.2e} of the largest result, expected less than {tolerance}")


class Shape:
    """Both sides for one shape."""

    def __init__(self, text: str, library: ggml.Library, folder: Path) -> None:
        self.depth, self.columns = (int(extent) for extent in text.split("x"))
        self.library, self.lib = library, folder / f"{text}.so"
        made, first = model(self.depth, self.columns)
        onnx.save(made, folder / f"{text}.onnx")
        ended = weft_cli.compile_lib(folder / f"{text}.onnx", self.lib, timeout=600)
        if ended.code:
            raise WeftError(ended.summary())
        self.x = np.random.default_rng(1).standard_normal((1, self.depth), dtype=np.float32)
        self.expected = self.x.astype(np.float64) @ first
        self.matrices = [ggml.matrix(self.depth, self.columns, seed) for seed in range(count(self.depth, self.columns))]

    @property
    def bytes(self) -> tuple[int, int]:
        """What both sides read in a run: codes and scales."""
        weights = self.depth * self.columns * count(self.depth, self.columns)
        return weights // 2 + weights // GROUP * 2, weights // 32 * 18

    def ours(self, threads: int) -> Callable[[], object]:
        """A run of weft's artifact."""
        session = Artifact(self.lib).open(threads)
        prepared = session.prepare([self.x])
        session.run_prepared(prepared)
        close(session.outputs()[0], self.expected, 5e-5, "weft")
        return lambda: session.run_prepared(prepared)

    def theirs(self, threads: int) -> tuple[str, ggml.Products]:
        """A run of llama.cpp in the layout that is fastest here."""
        self.library.threads(threads)
        best: tuple[float, str, ggml.Products] | None = None
        expected = self.x @ ggml.numbers(self.matrices[0]).T
        for name, layout in self.library.layouts().items():
            products = ggml.Products(self.library, layout, self.x, self.matrices)
            products.run()
            close(products.first(), expected, 5e-2, f"llama.cpp in layout {name}")
            taken = min(measure.burst(products.run, 1, measure.clock_for(threads)) for _ in range(5))
            if best is not None and taken >= best[0]:
                products.close()
                continue
            if best is not None:
                best[2].close()
            best = (taken, name, products)
        return best[1], best[2]


def rates(shape: Shape, memory: Memory, threads: int, seconds: float) -> dict[str, float | str]:
    """Medians over rounds in which all sides take turns."""
    layout, products = shape.theirs(threads)
    clock = measure.clock_for(threads)
    sides = [shape.ours(threads), products.run, lambda: memory.read(threads)]
    runs = [(side, measure.runs_per_burst(side, BURST)) for side in sides]
    rounds: list[tuple[float, float, float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < measure.MIN_ROUNDS or time.perf_counter() < end:
        order = [len(rounds) % 3, (len(rounds) + 1) % 3, (len(rounds) + 2) % 3]
        taken = {side: measure.burst(*runs[side], clock) for side in order}
        rounds.append((taken[0], taken[1], taken[2]))
    products.close()
    ours, theirs, read = (statistics.median(column) for column in zip(*rounds, strict=True))
    rate = memory.size / read * 1e-6
    mine, other = (amount * 1e-6 / time for amount, time in zip(shape.bytes, (ours, theirs), strict=True))
    share = statistics.median(shape.bytes[0] / row[0] * row[2] / memory.size for row in rounds)
    ratio = statistics.median(row[1] / row[0] for row in rounds)
    return {"weft": mine, "llama": other, "memory": rate, "share": share, "ratio": ratio, "layout": layout,
            "ms": ours, "their ms": theirs, "rounds": len(rounds)}  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=SHAPES, metavar="KxN")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=6, help="per shape and number of threads")
    parser.add_argument("--ggml", type=Path, default=ROOT / ".venv-bench/ggml", help="where llama.cpp is built")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    args = parser.parse_args()
    library, report = ggml.Library(ggml.build(args.ggml)), {}
    print(f"{'K x N':12} threads {'weft':>8}{'llama':>8}{'memory':>8}  {'share':>7}{'ratio':>7}   (GB/s)")
    with tempfile.TemporaryDirectory(prefix="weft-gemv-") as folder:
        memory = Memory(Path(folder), CHAIN)
        for text in args.shapes:
            shape = Shape(text, library, Path(folder))
            for threads in args.threads:
                report[f"{text} {threads}"] = found = rates(shape, memory, threads, args.seconds)
                row = "{weft:8.1f}{llama:8.1f}{memory:8.1f}  {share:7.1%}{ratio:7.2f}   {layout}"
                print(f"{text:12} {threads:7} " + row.format_map(found), flush=True)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))
    one = [found["ratio"] for key, found in report.items() if key.endswith(" 1")]
    if one:
        print("weft: activations in f32, codes dequantised exactly; one thread, geometric mean over the shapes:")
        print(f"gemv-vs-llamacpp {statistics.geometric_mean(one):.2f}")


if __name__ == "__main__":
    main()
