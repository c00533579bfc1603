#!/usr/bin/env python3
"""SmolLM2 as `choose` makes it, beside the same form in every layer: tokens a second at no larger error.

    choose.py [--settings int8,int4-oc,...] [--options TEXT] [--windows N] [--threads T] [--seconds S] [--each]
              [--json FILE]

Every uniform setting is compiled first, layers that make outputs included. Its divergence from the exact model on
validation data, which nothing is fitted to, is then the bound for `choose`, the closest bound first: unlike a
perplexity, which the rounding of 8 bits makes smaller as often as larger, it tells any two forms apart. A model chosen
for a closer bound errs less still; where it is faster than the uniform setting already, it is what is shown beside it,
and `choose` does not run again (with `--each` it does). Both are judged by onnxruntime on text that neither
has seen, from the model that `--emit onnx` writes, and decode single tokens of such text behind 64 others, taking
turns.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "benches"), str(ROOT / "tests/python"), str(ROOT / "tests/models")]

import peers_measure as measure  # noqa: E402
import quantize  # noqa: E402
import sides  # noqa: E402
import smollm2  # noqa: E402
import texts  # noqa: E402
import weft_cli  # noqa: E402
from weft_artifact import Artifact  # noqa: E402

SETTINGS = {
    "int8": "quantize-weights{bits=8,outputs=true}",
    "int4-oc": "quantize-weights{bits=4,outputs=true}",
    "int4-ic": "quantize-weights{bits=4,dim=ic,outputs=true}",
    "int4-gptq": "quantize-weights{bits=4,method=gptq,outputs=true}",
    "sparse25": "sparsify-activations{sparsity=0.25,outputs=true}",
    "sparse50": "sparsify-activations{sparsity=0.5,outputs=true}",
}
CONTEXT = 64
TEXTS = 8
"""One token is decoded in each, behind `CONTEXT` others."""
VALIDATION = 20
"""The first window that errors are measured on; what is fitted is fitted to the first windows of all."""
FASTER = 1.02
"""Ratios of rates that are closer to one are no difference."""
BURST = 0.2
PLACES = 5


class Made:
    """One form of the model: its artifact, its errors, and what making it took."""

    def __init__(self, passes: str, more: list[str | Path], data: list[str | Path], stem: Path) -> None:
        self.lib, onnx, ledger = stem.with_suffix(".so"), stem.with_suffix(".onnx"), stem.with_suffix(".json")
        calibrated = [*data, "--ledger", ledger, *more]
        ended = weft_cli.run(
            *("opt", smollm2.model(), "--cpu", "native", "--pipeline", f"O1,{passes}", *calibrated),
            *("--emit", "onnx", "-o", onnx),
            timeout=7200,
        )
        if ended.code:
            raise SystemExit(f"{passes}: {ended.summary()}")
        self.seconds, self.peak_mib = ended.seconds, ended.peak_mib
        self.ledger = json.loads(ledger.read_text())[0]
        made = weft_cli.compile_lib(onnx, self.lib, timeout=600)
        if made.code:
            raise SystemExit(f"{passes}: {made.summary()}")
        held_out = texts.windows(quantize.JUDGED, quantize.LENGTH, quantize.HELD_OUT)
        self.held_out = quantize.perplexity(onnx, held_out)["perplexity"]
        onnx.unlink()

    @property
    def divergence(self) -> float:
        """That of the next tokens from the exact model's, on the validation data."""
        return self.ledger["model"]["text"]["kl"]

    def mixture(self) -> str:
        """How many layers are what."""
        whats = [line["what"] for line in self.ledger["layers"]]
        return ", ".join(f"{whats.count(what)} {what}" for what in sorted(set(whats)))


def decoder(lib: Path, threads: int) -> Callable[[], None]:
    """Runs the last token of each of some texts, behind what the model makes of the others: how many inputs are small
    enough to be skipped is as it is in use."""
    artifact = Artifact(lib)
    session, last = artifact.open(threads), []
    cache = artifact.inputs[1:]
    for ids in texts.windows(TEXTS, CONTEXT + 1, quantize.HELD_OUT * quantize.LENGTH // CONTEXT):
        empty = {port.name: np.empty((1, port.shape[1], 0, port.shape[3]), np.float32) for port in cache}
        session.run_prepared(session.prepare({"input_ids": ids[None, :-1], **empty}))
        made = zip(artifact.outputs[1:], session.outputs()[1:], strict=True)
        past = {sides.past_of(port.name): values for port, values in made}
        last.append(session.prepare({"input_ids": ids[None, -1:], **past}))

    def run() -> None:
        for prepared in last:
            session.run_prepared(prepared)

    return run


def rates(libs: list[Path], threads: int, seconds: float) -> list[float]:
    """Tokens a second of some artifacts that take turns: medians over several places in memory, which make one and the same
    file up to 8 % faster or slower."""
    places = [rates_of_copies(libs, threads, seconds / PLACES) for _ in range(PLACES)]
    return [statistics.median(side) for side in zip(*places, strict=True)]


def rates_of_copies(libs: list[Path], threads: int, seconds: float) -> list[float]:
    """The same of copies of the files: medians over the rounds."""
    with tempfile.TemporaryDirectory(prefix="weft-choose-") as name:
        copies = []
        for number, lib in enumerate(libs):
            copies.append(Path(name) / str(number) / lib.name)
            copies[-1].parent.mkdir()
            for suffix in (".so", ".h"):
                shutil.copy(lib.with_suffix(suffix), copies[-1].with_suffix(suffix))
        clock = measure.clock_for(threads)
        sides = [(run, measure.runs_per_burst(run, BURST)) for run in (decoder(lib, threads) for lib in copies)]
        taken: list[list[float]] = [[] for _ in sides]
        end = time.perf_counter() + seconds
        while len(taken[0]) < measure.MIN_ROUNDS or time.perf_counter() < end:
            first = len(taken[0]) % len(sides)
            for side in [*range(first, len(sides)), *range(first)]:
                time.sleep(measure.PAUSE)
                taken[side].append(measure.burst(*sides[side], clock))
    return [1000 * TEXTS / statistics.median(times) for times in taken]


class Chosen:
    """The models that `choose` made so far, by ever wider bounds."""

    def __init__(self, args: argparse.Namespace, data: list[str | Path], folder: Path) -> None:
        self.args, self.data, self.folder = args, data, folder
        self.made: list[Made] = []

    def beside(self, uniform: Made) -> tuple[Made, list[float]]:
        """One that errs no more than a uniform setting, and the tokens a second of both."""
        for made in [] if self.args.each else [made for made in self.made if made.divergence <= uniform.divergence]:
            both = rates([uniform.lib, made.lib], self.args.threads, self.args.seconds)
            if both[1] > FASTER * both[0]:
                return made, both
        options = f"{{{self.args.options}}}" if self.args.options else ""
        bound = ["--max-error", f"kl:{uniform.divergence}"]
        self.made.insert(0, Made(f"choose{options}", bound, self.data, self.folder / f"chosen{len(self.made)}"))
        return self.made[0], rates([uniform.lib, self.made[0].lib], self.args.threads, self.args.seconds)


def main() -> None:
    """Prints a row for each uniform setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--options", default="", help="of `choose`, as `method=gptq`")
    parser.add_argument("--windows", type=int, default=2, help="to calibrate with, and as many to validate with")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--each", action="store_true", help="runs `choose` for every setting")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    onnxruntime.set_default_logger_severity(3)
    rows = []
    with tempfile.TemporaryDirectory(prefix="weft-choose-") as name:
        folder = Path(name)
        data: list[str | Path] = []
        for flag, first in [("--calibrate", 0), ("--validate", VALIDATION)]:
            np.save(folder / f"from{first}.npy", texts.windows(args.windows, quantize.LENGTH, first))
            data += [flag, folder / f"from{first}.npy"]
        made = {setting: Made(SETTINGS[setting], [], data, folder / setting) for setting in args.settings.split(",")}
        chosen_so_far = Chosen(args, data, folder)
        for setting, uniform in sorted(made.items(), key=lambda item: item[1].divergence):
            chosen, (one, other) = chosen_so_far.beside(uniform)
            row = {
                "setting": setting, "uniform_tokens": one, "chosen_tokens": other, "ratio": other / one,
                "uniform_kl": uniform.divergence, "chosen_kl": chosen.divergence, "uniform_held_out": uniform.held_out,
                "chosen_held_out": chosen.held_out, "seconds": chosen.seconds, "peak_mib": chosen.peak_mib,
                "chosen": chosen.lib.stem, "mixture": chosen.mixture(),
            }  # fmt: skip
            rows.append(row)
            print(
                f"{setting:10} {one:6.1f} tokens/s, kl {uniform.divergence:.5f} (perplexity of other text {uniform.held_out:.3f}); "
                f"{chosen.lib.stem} {other:6.1f} (x {other / one:.2f}), {chosen.divergence:.5f} ({chosen.held_out:.3f}), "
                f"{chosen.seconds:.0f} s, {chosen.peak_mib:.0f} MiB: {row['mixture']}",
                flush=True,
            )
            uniform.lib.unlink()
            if args.json:
                args.json.write_text(json.dumps(rows, indent=1))
    faster = sum(row["ratio"] > FASTER for row in rows)
    slower = sum(row["ratio"] < 2 - FASTER for row in rows)
    print(f"choose: faster than {faster} of {len(rows)} uniform settings at no larger error, slower than {slower}")


if __name__ == "__main__":
    main()
