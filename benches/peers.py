#!/usr/bin/env python3
"""weft's artifacts beside onnxruntime, in one process, in alternating bursts.

    peers.py [--threads 1 2] [--seconds S] [--json FILE] [ID ...]

Prints, per model of tests/models/models.json at its first size: milliseconds of both, their ratio, and the geometric
mean; how much two threads gain, beside what they gain for plain multiply-adds; and the start-up of one program.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import json
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "python"), str(TESTS / "models")]

import compare  # noqa: E402
import fetch  # noqa: E402
import inputs  # noqa: E402
import peers_measure as measure  # noqa: E402
import weft_cli  # noqa: E402
from weft_artifact import Artifact, WeftError  # noqa: E402

SCALED = ("ppocrv6_det", "minilm_l3_fp32")
STARTED = "minilm_l3_fp32"
Result = dict[str, Any]


class ModelTable(ctypes.Structure):
    """The head of the artifact's `weft_model`, as far as the size of its weights."""

    _fields_ = [
        ("abi", ctypes.c_uint32), ("size", ctypes.c_uint32), ("name", ctypes.c_void_p), ("ports", ctypes.c_uint32 * 2),
        ("inputs", ctypes.c_void_p), ("outputs", ctypes.c_void_p), ("counts", ctypes.c_uint32 * 4),
        ("tables", ctypes.c_void_p * 3), ("weights", ctypes.c_void_p), ("weights_len", ctypes.c_uint64),
    ]  # fmt: skip


class Subject:
    """One model: compiled, loaded, and ready to run on both sides."""

    def __init__(self, row: dict[str, Any], folder: Path) -> None:
        self.row = row
        self.model = fetch.fetch(row)
        self.lib = folder / f"{row['id']}.so"
        ended = weft_cli.compile_lib(self.model, self.lib, timeout=600)
        if ended.code:
            raise WeftError(ended.summary())
        self.compile_seconds = ended.seconds
        self.artifact = Artifact(self.lib)
        self.values = inputs.make(row, row["sizes"][0])

    def ours(self, threads: int) -> tuple[Callable[[], object], Callable[[], list[np.ndarray]]]:
        """A run of the artifact, and its outputs."""
        session = self.artifact.open(threads)
        prepared = session.prepare(self.values)
        return lambda: session.run_prepared(prepared), session.outputs

    def theirs(self, threads: int) -> tuple[Callable[[], object], Callable[[], list[np.ndarray]]]:
        """A run of onnxruntime with its tensors bound beforehand, and its outputs."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
        # Its threads wait awake within a run, as always, but not through our turns.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        session = onnxruntime.InferenceSession(str(self.model), options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        for name, values in self.values.items():
            binding.bind_cpu_input(name, values)
        for output in session.get_outputs():
            binding.bind_output(output.name)
        return lambda: session.run_with_iobinding(binding), binding.copy_outputs_to_cpu

    def compare(self, threads: int, seconds: float) -> measure.Pair:
        """Both sides at that many threads, after a check that they agree."""
        (run, outputs), (peer_run, peer_outputs) = self.ours(threads), self.theirs(threads)
        run()
        peer_run()
        names = [port.name for port in self.artifact.outputs]
        wrong = compare.differences(names, outputs(), peer_outputs())
        if wrong:
            raise WeftError("; ".join(wrong))
        return measure.alternate(run, peer_run, threads, seconds)

    def schedules(self, runs: int = 20) -> dict[str, float]:
        """The share of each schedule in the time of a run, at one thread."""
        with self.artifact.open(1, profile=True) as session:
            prepared = session.prepare(self.values)
            for _ in range(runs):
                session.run_prepared(prepared)
            spent = session.profile()
        whole = spent.pop("(run)", 0) or sum(spent.values()) or 1
        return {schedule: time / whole for schedule, time in sorted(spent.items(), key=lambda item: -item[1])}

    def bytes_beyond_weights(self) -> int:
        """The artifact's size without its packed weights."""
        table = ModelTable.in_dll(ctypes.CDLL(str(self.lib)), "weft_model")
        files = [file for file in self.lib.parent.glob(f"{self.lib.stem}*") if file.suffix != ".h"]
        return sum(file.stat().st_size for file in files) - table.weights_len


def measured(row: dict[str, Any], folder: Path, threads: list[int], seconds: float) -> Result:
    """All figures of one model; `error` instead of those that could not be had."""
    result: Result = {"model": row["id"], "size": row["sizes"][0], "threads": {}}
    try:
        subject = Subject(row, folder)
        result["compile_seconds"] = subject.compile_seconds
        result["bytes_beyond_weights"] = subject.bytes_beyond_weights()
        result["schedules"] = subject.schedules()
        for count in threads:
            result["threads"][count] = dataclasses.asdict(subject.compare(count, seconds))
        if row["id"] in SCALED:
            result["scaling"] = measure.scaling(subject.ours(1)[0], subject.ours(2)[0], seconds)
    except WeftError as error:
        result["error"] = str(error)
    return result


def start_up(folder: Path) -> list[float]:
    """Milliseconds of whole processes of one program that answers one input."""
    row = fetch.row(STARTED)
    program, data = folder / "program", folder / "inputs"
    ended = weft_cli.run("compile", fetch.fetch(row), "--emit", "exe", "-o", program, "-q", timeout=600)
    if ended.code:
        raise WeftError(ended.summary())
    data.mkdir()
    for name, values in inputs.make(row, row["sizes"][0]).items():
        np.save(data / f"{name}.npy", values)
    return measure.process_times([program, "--inputs", data, "--output-dir", folder / "outputs", "--threads", "1"])


def print_models(results: list[Result], threads: list[int]) -> None:
    """The table of the models and its geometric means."""
    heads = "".join(f"{f'{count}T ours':>11}{'ort':>9}{'ratio':>7}" for count in threads)
    print(f"\n{'model (ms)':18}{heads}{'compile s':>11}{'KB beyond weights':>19}")
    for result in results:
        cells = "".join("{ours:11.3f}{theirs:9.3f}{ratio:7.2f}".format(**result["threads"][k]) for k in result["threads"])
        if "error" in result:
            print(f"{result['model']:18}{cells}  {result['error'][:120]}")
        else:
            beyond = result["bytes_beyond_weights"] / 1000
            print(f"{result['model']:18}{cells}{result['compile_seconds']:11.2f}{beyond:19.1f}")
    for count in threads:
        ratios = [result["threads"][count]["ratio"] for result in results if count in result["threads"]]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            print(f"{count} thread(s): geometric mean {mean:.3f} over {len(ratios)} models, worst {max(ratios):.2f}")


def print_schedules(results: list[Result]) -> None:
    """Where the time of each model goes; generic schedules are those that gather or scatter."""
    print("\nshare of the time by schedule, one thread")
    for result in results:
        spent = result.get("schedules", {})
        generic = sum(share for name, share in spent.items() if name.startswith("generic"))
        shares = "  ".join(f"{name} {share:.1%}" for name, share in spent.items())
        print(f"{result['model']:18}generic {generic:.1%} of all: {shares}")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="ID")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=3, help="per model and number of threads")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    args = parser.parse_args()
    rows = [fetch.row(model) for model in args.models] or [row for row in fetch.rows() if "sizes" in row]
    with tempfile.TemporaryDirectory(prefix="weft-peers-") as name:
        results = [measured(row, Path(name), args.threads, args.seconds) for row in rows]
        report: Result = {"models": results}
        print_models(results, args.threads)
        print_schedules(results)
        report["fma_gflops"], report["fma_scaling"] = measure.Peak().rates()
        print(f"\nmultiply-adds: {report['fma_gflops']:.1f} GFLOP/s, two threads {report['fma_scaling']:.2f} times that")
        for result in results:
            if "scaling" in result:
                share = result["scaling"] / report["fma_scaling"]
                print(f"{result['model']:18}two threads {result['scaling']:.2f} times one, {share:.0%} of the above")
        try:
            report["start_up_ms"] = taken = start_up(Path(name))
            middle = taken[len(taken) // 2]
            print(f"\n{STARTED}: process start to end {middle:.1f} ms (median of {len(taken)}, least {taken[0]:.1f})")
        except WeftError as error:
            print(f"\n{STARTED} as a program: {error}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))
    return int(any("error" in result for result in results))


if __name__ == "__main__":
    sys.exit(main())
