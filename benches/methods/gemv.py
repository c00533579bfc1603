#!/usr/bin/env python3
"""Products of one row with weights of 4 bits: weft beside llama.cpp's Q4_0 and the memory's own rate.

    gemv.py [--threads 1 2] [--seconds S] [--json FILE] [KxN ...]

Every shape is a model of as many products with distinct weights as fill 95 MB, so that no cache holds them. weft has one
scale for each 128 columns of an input channel (per-IC), and takes both forms of activations: f32, and int8, the row times
the scales of a group rounded by its largest number. Beside them, `oc` has one scale for each 128 input channels of a column
(per-OC), and the row itself is rounded; llama.cpp has one for each 32 input channels and rounds the row to 8 bits. The
sides and a plain read of as much memory take turns in one process, in two ways. `cold`: run by run, so that what the others
read in between takes a side's weights out of caches of hundreds of megabytes, too; the plain read then is the rate of the
memory. `warm`: in bursts of runs, as a decoder repeats its weights, of which the last cache may keep some. One thread is
timed by the processor time it took, two by the time that passed. Rates count the bytes of weights and scales.
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
FORMS = ["f32", "int8", "oc"]
"""Activations as they are, and rounded; the latter for scales of either way."""
PER_IC = FORMS[:2]
SIDES = [*FORMS, "llama", "memory"]
GROUP = 128
CHAIN = 95_000_000
"""Bytes of the codes of all products of a model."""
BURSTS = {"cold": 0.0, "warm": 0.06}
"""Seconds of one turn; one run if that is longer."""


class Memory:
    """A mapped file that is read as a whole."""

    def __init__(self, folder: Path, size: int) -> None:
        path = folder / "read.so"
        flags = ["-O3", "-march=native", "-pthread", "-shared", "-fPIC"]
        subprocess.run(["cc", *flags, "-o", path, HERE / "read.c"], check=True)
        self.size, self.library, self.file = size, ctypes.CDLL(str(path)), folder / "read.bin"
        self.file.write_bytes(bytes(range(256)) * (size // 256 + 1))
        self.library.mapped.restype, self.library.mapped.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_size_t]
        self.library.read_all.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int]
        self.room = self.library.mapped(str(self.file).encode(), size)
        if not self.room:
            raise OSError(f"{self.file} can't be mapped")

    def reader(self, threads: int) -> Callable[[], object]:
        """What reads it once, in the way that is fastest here."""
        read, clock = self.library.read_all, measure.clock_for(threads)
        ways = [lambda asks=asks: read(self.room, self.size, threads, asks) for asks in (0, 1)]
        return min(ways, key=lambda way: min(measure.burst(way, 1, clock) for _ in range(9)))


def count(depth: int, columns: int) -> int:
    """How many products fill the chain."""
    return math.ceil(CHAIN * 2 / (depth * columns))


def coded(numbers: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes of 4 bits and scales of `[K, N]` numbers, each group in an axis of its own behind `axis`."""
    depth, columns = numbers.shape
    grouped = numbers.reshape((-1, GROUP, columns) if axis == 0 else (depth, -1, GROUP))
    scales = (np.abs(grouped).max(axis=axis + 1, keepdims=True) / 7).astype(np.float16).astype(np.float32)
    return np.clip(np.rint(grouped / scales), -8, 7).astype(np.int8), scales


def packed(codes: np.ndarray, name: str) -> onnx.TensorProto:
    """Codes as a constant of 4 bits."""
    flat = codes.reshape(-1).view(np.uint8) & 15
    return onnx.helper.make_tensor(name, onnx.TensorProto.INT4, codes.shape, bytes(flat[::2] | flat[1::2] << 4), raw=True)


def product(codes: np.ndarray, scales: np.ndarray, name: str, form: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """One product, its scales multiplied into the row for `int8`."""
    make, constant = onnx.helper.make_node, onnx.numpy_helper.from_array
    if form == "int8":
        depth, groups, _ = codes.shape
        nodes, tensors = rounded_by_columns(depth, name)
        nodes += [
            make("DequantizeLinear", [f"q{name}", "one"], [f"w{name}"]),
            make("MatMul", [f"a{name}", f"w{name}"], [f"m{name}"]),
            make("Reshape", [f"m{name}", "shape"], [f"y{name}"]),
        ]
        tensors.append(constant(scales.reshape(depth, groups).T.reshape(groups, 1, depth).copy(), f"s{name}"))
        return nodes, [*tensors, packed(codes.transpose(1, 0, 2).copy(), f"q{name}")]
    axis = 0 if form == "oc" else 1
    whole = codes.reshape((-1, codes.shape[2]) if axis == 0 else (codes.shape[0], -1))
    nodes = [
        make("DequantizeLinear", [f"q{name}", f"s{name}"], [f"w{name}"], axis=axis, block_size=GROUP),
        make("MatMul", ["x" if form == "f32" else "a", f"w{name}"], [f"y{name}"]),
    ]
    return nodes, [packed(whole, f"q{name}"), constant(scales.squeeze(axis + 1), f"s{name}")]


def rounded(depth: int) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The row rounded to bytes by its largest number, as `quantize-weights{activations=int8}` writes it."""
    make, constant = onnx.helper.make_node, onnx.numpy_helper.from_array
    blocks = {"axis": -1, "block_size": depth}
    nodes = [
        make("Abs", ["x"], ["size"]),
        make("ReduceMax", ["size", "last"], ["largest"]),
        make("Div", ["largest", "most"], ["part"]),
        make("Max", ["part", "least"], ["scale"]),
        make("QuantizeLinear", ["x", "scale"], ["bytes"], output_dtype=onnx.TensorProto.INT8, **blocks),
        make("DequantizeLinear", ["bytes", "scale"], ["a"], **blocks),
    ]
    numbers = {"last": np.array([-1]), "most": np.float32(127), "least": np.float32(1e-30)}
    return nodes, [constant(np.asarray(number), name) for name, number in numbers.items()]


def rounded_by_columns(depth: int, name: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The same with `dim=ic`: the row times the scales of each group of columns."""
    make = onnx.helper.make_node
    nodes = [
        make("Mul", ["rows", f"s{name}"], [f"t{name}"]),
        make("Abs", [f"t{name}"], [f"size{name}"]),
        make("ReduceMax", [f"size{name}", "last"], [f"part{name}"]),
        make("Max", [f"part{name}", "least"], [f"largest{name}"]),
        make("Div", ["most", f"largest{name}"], [f"factor{name}"]),
        make("Mul", [f"t{name}", f"factor{name}"], [f"counts{name}"]),
        make("QuantizeLinear", [f"counts{name}", "one"], [f"bytes{name}"], output_dtype=onnx.TensorProto.INT8),
        make("Div", [f"largest{name}", "most"], [f"scale{name}"]),
        make("DequantizeLinear", [f"bytes{name}", f"scale{name}"], [f"a{name}"], axis=-1, block_size=depth),
    ]
    return nodes, []


def before(depth: int, columns: int, form: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """What all products of a form share."""
    if form == "f32":
        return [], []
    nodes, tensors = rounded(depth)
    if form == "oc":
        return nodes, tensors
    numbers = {"shape": np.array([1, columns]), "axes": np.array([-3, -2]), "one": np.float32(1)}
    tensors += [onnx.numpy_helper.from_array(np.asarray(number), name) for name, number in numbers.items()]
    return [onnx.helper.make_node("Unsqueeze", ["x", "axes"], ["rows"])], tensors


def model(depth: int, columns: int, form: str) -> tuple[onnx.ModelProto, tuple[np.ndarray, np.ndarray]]:
    """The products with activations of a form, and the codes and scales of the first matrix."""
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes, tensors = before(depth, columns, form)
    outputs, first = [], None
    for i in range(count(depth, columns)):
        numbers = np.random.default_rng(i).standard_normal((depth, columns), dtype=np.float32)
        codes, scales = coded(numbers, 0 if form == "oc" else 1)
        more_nodes, more_tensors = product(codes, scales, str(i), form)
        first = (codes, scales) if first is None else first
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


def expected(x: np.ndarray, codes: np.ndarray, scales: np.ndarray, form: str) -> np.ndarray:
    """The product of a row, as a form rounds it to the last bit, and a matrix by groups."""
    depth, most = len(x), np.float32(127)
    largest = lambda numbers: np.abs(numbers).max()
    if form == "int8":
        rows = [x * scales[:, group, 0] for group in range(codes.shape[1])]
        counts = [np.rint(row * (most / largest(row))) * np.float64(largest(row) / most) for row in rows]
        return np.concatenate([row @ codes[:, group] for group, row in enumerate(counts)])[None]
    matrix = (codes * scales).reshape((depth, -1) if form == "f32" else (-1, codes.shape[2]))
    scale = largest(x) / most
    return (x.astype(np.float64) if form == "f32" else np.rint(x / scale) * np.float64(scale))[None] @ matrix


class Shape:
    """All sides sides for one shape."""

    def __init__(self, text: str, library: ggml.Library, folder: Path) -> None:
        self.depth, self.columns = (int(extent) for extent in text.split("x"))
        self.library, self.libs, self.expected = library, {}, {}
        self.x = np.random.default_rng(1).standard_normal((1, self.depth), dtype=np.float32)
        for form in FORMS:
            self.libs[form] = folder / f"{text}-{form}.so"
            made, first = model(self.depth, self.columns, form)
            onnx.save(made, folder / "model.onnx")
            ended = weft_cli.compile_lib(folder / "model.onnx", self.libs[form], timeout=600)
            if ended.code:
                raise WeftError(ended.summary())
            self.expected[form] = expected(self.x[0], *first, form)
        self.matrices = [ggml.matrix(self.depth, self.columns, seed) for seed in range(count(self.depth, self.columns))]

    @property
    def bytes(self) -> tuple[int, int]:
        """What both sides read in a run: codes and scales."""
        weights = self.depth * self.columns * count(self.depth, self.columns)
        return weights // 2 + weights // GROUP * 2, weights // 32 * 18

    def ours(self, threads: int, form: str) -> Callable[[], object]:
        """A run of weft's artifact for a form of activations."""
        session = Artifact(self.libs[form]).open(threads)
        prepared = session.prepare([self.x])
        session.run_prepared(prepared)
        close(session.outputs()[0], self.expected[form], 5e-5, f"weft in {form}")
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


Rates = dict[str, dict[str, float | str]]
"""By way of taking turns, what was found."""


def rates(shape: Shape, memory: Memory, threads: int, seconds: float) -> Rates:
    """Medians over rounds in which all sides take turns, in each way for half of the time."""
    layout, products = shape.theirs(threads)
    sides = {form: shape.ours(threads, form) for form in FORMS} | {"llama": products.run, "memory": memory.reader(threads)}
    amounts = dict.fromkeys(FORMS, shape.bytes[0]) | {"llama": shape.bytes[1], "memory": memory.size}
    found: Rates = {}
    for way, burst in BURSTS.items():
        taken = measure.turns(sides, threads, seconds / 2, burst)
        rounds = [dict(zip(taken, row, strict=True)) for row in zip(*taken.values(), strict=True)]
        found[way] = {"layout": layout, "rounds": len(rounds), **medians(rounds, amounts)}
    products.close()
    return found


def medians(rounds: list[dict[str, float]], amounts: dict[str, int]) -> dict[str, float]:
    """Times, rates, shares of the plain read's rate, and how many times as fast as llama.cpp."""
    found: dict[str, float] = {}
    for name, amount in amounts.items():
        found[f"{name} ms"] = statistics.median(row[name] for row in rounds)
        found[name] = statistics.median(amount * 1e-6 / row[name] for row in rounds)
    for form in FORMS:
        scale = amounts[form] / amounts["memory"]
        found[f"{form} share"] = statistics.median(scale * row["memory"] / row[form] for row in rounds)
        found[f"{form} ratio"] = statistics.median(row["llama"] / row[form] for row in rounds)
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", default=SHAPES, metavar="KxN")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=6, help="per shape and number of threads")
    parser.add_argument("--ggml", type=Path, default=ROOT / ".venv-bench/ggml", help="where llama.cpp is built")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    args = parser.parse_args()
    library = ggml.Library(ggml.build(args.ggml))
    report: dict[str, Rates] = {}
    print(f"{'K x N':12} threads     " + "".join(f"{name:>8}" for name in SIDES) + "   (GB/s)"
          + "".join(f"   {form + ': share, ratio':18}" for form in FORMS))  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="weft-gemv-") as folder:
        memory = Memory(Path(folder), CHAIN)
        for text in args.shapes:
            shape = Shape(text, library, Path(folder))
            for threads in args.threads:
                report[f"{text} {threads}"] = found = rates(shape, memory, threads, args.seconds)
                for way, row in found.items():
                    print(f"{text:12} {threads:7} {way:4}{line(row)}   {row['layout']}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))
    summary(report, args.threads)


def line(found: dict[str, float | str]) -> str:
    """The figures of a shape."""
    numbers = "".join(f"{found[name]:8.1f}" for name in SIDES)
    ends = "".join(f"   {found[f'{form} share']:8.1%}{found[f'{form} ratio']:8.2f}  " for form in FORMS)
    return f"{numbers}         {ends}"


def summary(report: dict[str, Rates], threads: list[int]) -> None:
    """Geometric means over the shapes."""
    for way in BURSTS:
        for count in threads:
            means = ", ".join(f"{form} {mean(report, count, way, form):.2f}" for form in FORMS)
            print(f"times as fast as llama.cpp's Q4_0, {way}, {count} threads, geometric mean over the shapes: {means}")
    if 1 in threads:
        means = {form: mean(report, 1, "warm", form) for form in PER_IC}
        best = max(means, key=lambda form: means[form])
        print(f"the better form per-IC at one thread, warm: activations in {best}")
        print(f"gemv-vs-llamacpp {means[best]:.2f}")


def mean(report: dict[str, Rates], threads: int, way: str, form: str) -> float:
    """How many times as fast as llama.cpp a form is over all shapes."""
    ratios = [float(found[way][f"{form} ratio"]) for key, found in report.items() if key.endswith(f" {threads}")]
    return statistics.geometric_mean(ratios)


if __name__ == "__main__":
    main()
