#!/usr/bin/env python3
"""What saturation gains: every model by pipeline O2 and by O3, which is O2 and a search, side by side.

    saturation.py [--seconds S] [--pipeline TEXT] [--json FILE] [ID ...]

Prints, per model of tests/models/models.json at its first size and per block of saturation_blocks.py: nodes, what the
graph costs by the cost model, seconds of the search and of the whole compilation, and milliseconds of a run at one
thread. Both artifacts run in one process in alternating bursts. Where they lie in memory changes a run by some
percent, so both are loaded several times; the ratio is the median over loads of the median over rounds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "python"), str(TESTS / "models")]

import compare  # noqa: E402
import fetch  # noqa: E402
import inputs  # noqa: E402
import peers_measure as measure  # noqa: E402
import saturation_blocks as blocks  # noqa: E402
import weft_cli  # noqa: E402
from weft_artifact import Artifact, WeftError  # noqa: E402

NODES = re.compile(r"optimising: (\d+) nodes")
SEARCH = re.compile(r"([\d.]+) ms  saturate ")
COST = re.compile(r"is taken to need ([\d.]+) us instead of ([\d.]+) us")
LOADS = 5
"""How often both artifacts are loaded, each time at another place in memory."""
Result = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model and numbers for its inputs."""

    name: str
    model: Path
    values: dict[str, np.ndarray]


def subjects(wanted: list[str], folder: Path) -> Iterator[Subject]:
    """The models and blocks with these names; all of them if none is named."""
    for row in fetch.rows():
        if "sizes" in row and (not wanted or row["id"] in wanted):
            yield Subject(row["id"], fetch.fetch(row), inputs.make(row, row["sizes"][0]))
    for name, build in blocks.BLOCKS.items():
        if not wanted or name in wanted:
            model, path = build(), folder / f"{name}.onnx"
            path.write_bytes(model.SerializeToString())
            yield Subject(name, path, blocks.inputs(model))


def compiled(subject: Subject, pipeline: str, lib: Path) -> tuple[float, str]:
    """Compiles; the seconds that it took, and what was said."""
    ended = weft_cli.run(
        "compile", subject.model, "--emit", "lib", "-o", lib, "--pipeline", pipeline, "-v", timeout=900
    )
    if ended.code:
        raise WeftError(ended.summary())
    return ended.seconds, ended.err


def found(pattern: re.Pattern[str], text: str) -> float:
    """The sum of the numbers that a pattern finds; nan if it finds none."""
    numbers = [float(match.group(1)) for match in pattern.finditer(text)]
    return sum(numbers) if numbers else float("nan")


def elsewhere(lib: Path, number: int) -> Path:
    """A copy of a library and its header, which is loaded as if it were another one."""
    folder = lib.parent / f"{number}"
    folder.mkdir(exist_ok=True)
    shutil.copy(lib.with_suffix(".h"), folder)
    return Path(shutil.copy(lib, folder))


def loaded(subject: Subject, libs: tuple[Path, Path], number: int, seconds: float) -> measure.Pair:
    """Both artifacts at places of their own, the later pipeline first in the pair."""
    order = (0, 1) if number % 2 else (1, 0)
    artifacts = {side: Artifact(elsewhere(libs[side], number)) for side in order}
    plain, better = artifacts[0], artifacts[1]
    with plain.open(1) as before, better.open(1) as after:
        first, second = before.prepare(subject.values), after.prepare(subject.values)
        before.run_prepared(first)
        after.run_prepared(second)
        names = [port.name for port in plain.outputs]
        if wrong := compare.differences(names, after.outputs(), before.outputs()):
            raise WeftError("; ".join(wrong))
        return measure.alternate(lambda: after.run_prepared(second), lambda: before.run_prepared(first), 1, seconds)


def measured(subject: Subject, search: str, folder: Path, seconds: float) -> Result:
    """All figures of one model; `error` instead of those that could not be had."""
    try:
        libs = folder / f"{subject.name}.2.so", folder / f"{subject.name}.3.so"
        plain_seconds, plain_said = compiled(subject, "O2", libs[0])
        better_seconds, said = compiled(subject, search, libs[1])
        pairs = [loaded(subject, libs, number, seconds / LOADS) for number in range(LOADS)]
    except WeftError as error:
        return {"model": subject.name, "error": str(error)}
    costs = [(float(match.group(2)), float(match.group(1))) for match in COST.finditer(said)]
    return {
        "model": subject.name,
        "nodes": [int(found(NODES, plain_said)), int(found(NODES, said))],
        "cost_us": [sum(cost) for cost in zip(*costs, strict=True)] or None,
        "search_seconds": found(SEARCH, said) / 1000,
        "compile_seconds": [plain_seconds, better_seconds],
        "before": statistics.median(pair.theirs for pair in pairs),
        "after": statistics.median(pair.ours for pair in pairs),
        "ratio": statistics.median(pair.ratio for pair in pairs),
        "ratios": [pair.ratio for pair in pairs],
    }


def line(result: Result) -> str:
    """One row of the table."""
    if "error" in result:
        return f"{result['model']:18}{result['error'][:120]}"
    nodes, (plain, better) = result["nodes"], result["compile_seconds"]
    costs = "{:13.1f}{:13.1f}".format(*result["cost_us"]) if result["cost_us"] else f"{'-':>13}{'-':>13}"
    times = "{before:11.4f}{after:11.4f}{ratio:8.3f}".format(**result)
    return f"{result['model']:18}{nodes[0]:6}{nodes[1]:6}{costs}{result['search_seconds']:9.2f}{plain:9.2f}{better:9.2f}{times}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="ID")
    parser.add_argument("--seconds", type=float, default=4, help="of measuring per model")
    parser.add_argument("--pipeline", default="O3", help="what is measured against O2")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    args = parser.parse_args()
    results = []
    heads = f"{'O2':>6}{'O3':>6}{'us':>13}{'us':>13}{'search':>9}{'O2':>9}{'O3':>9}{'O2 ms':>11}{'O3 ms':>11}{'ratio':>8}"
    print(f"{'':18}{'nodes':>12}{'cost':>26}{'s':>9}{'compile s':>18}\n{'model':18}{heads}")
    with tempfile.TemporaryDirectory(prefix="weft-saturation-") as name:
        for subject in subjects(args.models, Path(name)):
            results.append(measured(subject, args.pipeline, Path(name), args.seconds))
            print(line(results[-1]), flush=True)
    ratios = [result["ratio"] for result in results if "ratio" in result]
    gained = sum(ratio <= 0.98 for ratio in ratios)
    print(f"{len(ratios)} models, {gained} of them faster by 2 % or more")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))
    return int(any("error" in result for result in results))


if __name__ == "__main__":
    sys.exit(main())
