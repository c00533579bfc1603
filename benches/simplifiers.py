#!/usr/bin/env python3
"""weft's `simplify` beside onnxsim, onnxslim and onnxruntime's own offline optimiser.

    simplifiers.py [--seconds S] [--json FILE] [ID ...]

Prints, per model of tests/models/models.json: the nodes (constants left out, subgraphs counted) of the original and
of what each tool makes of it, and how fast each runs in onnxruntime with all of its own optimisations, one thread,
in alternating bursts, relative to the original; with 0 seconds, the nodes alone. Nodes of operators that are neither
ONNX's nor in the original stand apart behind a `+`: ORT's extended level fuses into its own ones, as FusedConv and
QuickGelu, which nothing but onnxruntime runs. Fails if weft's nodes are more than 5 % above the fewest, among results
without such nodes.

Needs the packages of benches/requirements.txt: `make simplifiers` makes an environment with them.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "python"), str(TESTS / "models")]

import compare  # noqa: E402
import fetch  # noqa: E402
import inputs  # noqa: E402
import weft_cli  # noqa: E402

ALLOWED = 1.05
BURST = 0.05
Row = dict[str, Any]
Tool = Callable[[Path, Path], None]


def operators(graph: onnx.GraphProto) -> Counter[tuple[str, str]]:
    """How often each operator is used, by domain and name; constants left out, subgraphs included."""
    counts: Counter[tuple[str, str]] = Counter()
    for node in graph.node:
        counts[node.domain, node.op_type] += node.op_type != "Constant"
        for attribute in node.attribute:
            if attribute.HasField("g"):
                counts += operators(attribute.g)
    return +counts


def foreign(counts: Counter[tuple[str, str]], original: Counter[tuple[str, str]]) -> int:
    """Nodes of operators that are neither ONNX's nor in the original. (ORT writes one of its own in ONNX's domain.)"""
    own = {(domain, name) for domain, name in counts if onnx.defs.has(name, "" if domain == "ai.onnx" else domain)}
    return sum(count for key, count in counts.items() if key not in own and key not in original)


def session(model: Path, level: str = "ALL", saved: Path | None = None) -> onnxruntime.InferenceSession:
    """A session with one thread, at one of onnxruntime's levels of optimisation."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = 1, 1, 3
    names = {"ALL": "ORT_ENABLE_ALL", "EXTENDED": "ORT_ENABLE_EXTENDED", "BASIC": "ORT_ENABLE_BASIC"}
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, names[level])
    if saved:
        options.optimized_model_filepath = str(saved)
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def by_weft(model: Path, out: Path) -> None:
    """`weft opt`."""
    ended = weft_cli.run("opt", model, "--pipeline", "simplify", "--emit", "onnx", "-o", out, "-q", timeout=600)
    if ended.code:
        raise RuntimeError(ended.summary())


def by_module(code: str) -> Tool:
    """A Python package, in a process of its own: they print, and may end with a signal."""

    def run(model: Path, out: Path) -> None:
        command = [sys.executable, "-c", code, str(model), str(out)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if ended.returncode:
            raise RuntimeError(ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else str(ended.returncode))

    return run


SIM = "import onnx, onnxsim, sys; onnx.save(onnxsim.simplify(onnx.load(sys.argv[1]))[0], sys.argv[2])"
SLIM = "import onnx, onnxslim, sys; onnx.save(onnxslim.slim(onnx.load(sys.argv[1])), sys.argv[2])"
TOOLS: dict[str, Tool] = {
    "weft": by_weft,
    "onnxsim": by_module(SIM),
    "onnxslim": by_module(SLIM),
    "ort basic": lambda model, out: void(session(model, "BASIC", out)),
    "ort extended": lambda model, out: void(session(model, "EXTENDED", out)),
}


def void(_: object) -> None:
    """For a session that was opened for the file it leaves."""


def latencies(sessions: dict[str, onnxruntime.InferenceSession], values: inputs.Arrays, seconds: float) -> dict[str, float]:
    """The median milliseconds of each, in alternating bursts."""
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for opened in sessions.values():
        opened.run(None, values)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 3:
        for name, opened in sessions.items():
            until = time.perf_counter() + BURST
            while True:
                start = time.perf_counter()
                opened.run(None, values)
                now = time.perf_counter()
                times[name].append((now - start) * 1e3)
                if now > until:
                    break
    return {name: statistics.median(taken) for name, taken in times.items()}


def measured(row: Row, folder: Path, seconds: float) -> dict[str, Any]:
    """The figures of one model."""
    model = fetch.fetch(row)
    made, errors = {"original": model}, {}
    for name, tool in TOOLS.items():
        out = folder / f"{row['id']}-{name.replace(' ', '-')}.onnx"
        try:
            tool(model, out)
            made[name] = out
        except Exception as error:  # noqa: BLE001
            errors[name] = str(error)[:200]
    sessions = {name: session(path) for name, path in made.items()}
    values = inputs.make(row, row["sizes"][0])
    names = [port.name for port in sessions["original"].get_outputs()]
    expected = sessions["original"].run(names, values)
    for name, opened in list(sessions.items()):
        wrong = compare.differences(names, opened.run(names, values), expected, norm=1e-3)
        if wrong:
            errors[name] = "; ".join(wrong)
            del sessions[name], made[name]
    used = {name: operators(onnx.load(path, load_external_data=False).graph) for name, path in made.items()}
    return {
        "model": row["id"],
        "nodes": {name: counts.total() for name, counts in used.items()},
        "foreign": {name: foreign(counts, used["original"]) for name, counts in used.items()},
        "ms": latencies(sessions, values, seconds) if seconds else {},
        "errors": errors,
    }


def lost(result: dict[str, Any]) -> str | None:
    """By whom weft is beaten by more than is allowed."""
    counts = {name: count for name, count in result["nodes"].items() if not result["foreign"][name]}
    if "weft" not in counts:
        return f"{result['model']}: {result['errors']['weft']}"
    best = min(counts, key=lambda name: counts[name])
    if counts["weft"] > ALLOWED * counts[best]:
        return f"{result['model']}: {counts['weft']} nodes, {best} has {counts[best]}"
    return None


def print_nodes(results: list[dict[str, Any]]) -> None:
    """Nodes of ONNX's operators, and of others."""
    names = ["original", *TOOLS]
    print(f"{'nodes':18}" + "".join(f"{name:>14}" for name in names))
    for result in results:
        cells = [result["nodes"].get(name, "-") for name in names]
        extra = [result["foreign"].get(name) for name in names]
        shown = [f"{cell - more}+{more}" if more else str(cell) for cell, more in zip(cells, extra, strict=True)]
        print(f"{result['model']:18}" + "".join(f"{cell:>14}" for cell in shown))


def print_times(results: list[dict[str, Any]]) -> None:
    """Time relative to the original."""
    names = ["original", *TOOLS]
    print(f"\n{'time / original':18}" + "".join(f"{name:>14}" for name in names))
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for result in results:
        line = f"{result['model']:18}"
        for name in names:
            ratio = result["ms"].get(name, math.nan) / result["ms"]["original"]
            ratios[name] += [] if math.isnan(ratio) else [ratio]
            line += f"{ratio:14.3f}" if name != "original" else f"{result['ms'][name]:11.3f} ms"
        print(line)
    means = [math.exp(sum(map(math.log, ratios[name])) / max(1, len(ratios[name]))) for name in names]
    print(f"{'geometric mean':18}" + "".join(f"{mean:14.3f}" for mean in means))


def print_errors(results: list[dict[str, Any]]) -> None:
    """What a tool could not do."""
    for result in results:
        for name, error in result["errors"].items():
            print(f"{result['model']}: {name}: {error}")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="ID")
    parser.add_argument("--seconds", type=float, default=6, help="of measuring per model; 0 for none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    args = parser.parse_args()
    rows = [fetch.row(model) for model in args.models] or [row for row in fetch.rows() if "sizes" in row]
    with tempfile.TemporaryDirectory(prefix="weft-simplifiers-") as name:
        results = [measured(row, Path(name), args.seconds) for row in rows]
    print_nodes(results)
    if args.seconds:
        print_times(results)
    print_errors(results)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    losses = [line for line in map(lost, results) if line]
    print("\n".join(losses) or "weft: no model has more than 5 % more nodes than the fewest")
    return int(bool(losses))


if __name__ == "__main__":
    sys.exit(main())
