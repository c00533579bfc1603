#!/usr/bin/env python3
"""Tokens per second of decoders with weights of 4 bits: weft beside llama.cpp's Q4_0 and onnxruntime's MatMulNBits.

    decode.py [--models smollm2 llama-0.9b] [--threads 1 2] [--ways ic oc ic-int8 oc-int8] [--prompt N] [--seconds S]
              [--keep DIR] [--json FILE]

SmolLM2-135M, whose logits come from its embedding, and a decoder of 853 million random weights with a matrix for them.
All matrices, that of the logits included, have 4 bits on every side; weft's scales are shared by 128 outputs of an
input (`ic`) or inputs of an output (`oc`), those of the others by 32 inputs. weft computes in f32, or, for `int8`, as
the others do: activations are rounded to 8 bits. Every side computes the logits behind all of 128 tokens, then behind one
token more, again and again. They and a plain read of memory take turns in bursts of one process: one thread is timed by the
processor time it took, two by the time that passed. The last column is what a process of each side alone needs beyond Python.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "benches"), str(ROOT / "tests/python"), str(ROOT / "tests/models")]

import decoders  # noqa: E402
import gemv  # noqa: E402
import ggml  # noqa: E402
import peers_measure as measure  # noqa: E402
import sides  # noqa: E402
import weft_cli  # noqa: E402
from weft_artifact import WeftError  # noqa: E402

WEFT, ORT, LLAMA = "weft", "onnxruntime", "llama.cpp"
ALIKE = 0.5
"""The correlation of what a token changes on any two sides is more than this: rounding differs. Of other tokens: 0.4 at most."""
WAYS = {way: f"dim={way}" for way in ("ic", "oc")} | {f"{way}-int8": f"dim={way},activations=int8" for way in ("ic", "oc")}
Row = dict[str, float]


class Model:
    """The files of one decoder, one for each side."""

    def __init__(self, name: str, ways: list[str], folder: Path) -> None:
        self.source = decoders.source(name)
        self.files = {ORT: folder / f"{name}.onnx", LLAMA: folder / f"{name}.gguf"}
        self.files |= {f"{WEFT} {way}": folder / f"{name}-{way}.so" for way in ways}
        if not self.files[ORT].exists():
            decoders.Blocks(self.source).save(self.files[ORT])
        if not self.files[LLAMA].exists():
            decoders.save_gguf(self.source, self.files[LLAMA])
        self.compile(ways, folder / f"{name}-exact.onnx")

    def compile(self, ways: list[str], exact: Path) -> None:
        """weft's artifacts, from the decoder in f32."""
        missing = [way for way in ways if not self.files[f"{WEFT} {way}"].exists()]
        if not missing:
            return
        model = decoders.Exact(self.source, exact)
        model.save()
        for way in missing:
            quantise = f"quantize-weights{{bits=4,group=128,outputs=true,{WAYS[way]}}}"
            ended = weft_cli.compile_lib(exact, self.files[f"{WEFT} {way}"], "--pass", quantise, timeout=7200)
            if ended.code:
                raise WeftError(ended.summary())
        exact.unlink()
        model.beside.unlink()

    def read_per_token(self, side: str) -> float:
        """Bytes of all matrices: what a token reads of the weights."""
        shapes = [self.source.tensor(name).shape for name in decoders.names(self.source)]
        numbers = sum(shape[0] * shape[1] for shape in shapes if len(shape) == 2)
        tied = "output.weight" not in self.source
        embedding = shapes[0][0] * shapes[0][1]
        if side.startswith(WEFT):
            tables = 2 * self.source.fields["llama.context_length"] * self.head
            return sides.packed_bytes(self.files[side]) - 4 * (embedding + tables)
        return (numbers if tied else numbers - embedding) * {ORT: 5, LLAMA: 4.5}[side] / 8

    @property
    def head(self) -> int:
        """Features of a head."""
        return self.source.fields["llama.embedding_length"] // self.source.fields["llama.attention.head_count"]


def opened(side: str, file: Path, threads: int, built: Path) -> sides.Side:
    """A side, ready to run."""
    if side.startswith(WEFT):
        return sides.Weft(file, threads)
    return sides.Onnxruntime(file, threads) if side == ORT else sides.LlamaCpp(file, threads, built)


def step(side: sides.Side) -> np.ndarray:
    """What one token more changes in the logits; what they have in common at all places would hide a mistake."""
    side.prompt()
    before = side.logits()
    side.token()
    return side.logits() - before


def agree(found: dict[str, sides.Side]) -> None:
    """Fails unless all sides compute the same decoder."""
    alike = np.corrcoef([step(side) for side in found.values()])
    if not alike.min() > ALIKE:
        raise WeftError(f"steps of {', '.join(found)} correlate by {alike.round(2).tolist()}, expected more than {ALIKE}")


def compared(model: Model, memory: gemv.Memory, threads: int, args: argparse.Namespace) -> dict[str, Row]:
    """All figures at so many threads."""
    args.built = working(model.files[LLAMA], args)
    found = {side: opened(side, file, threads, args.built) for side, file in model.files.items()}
    agree(found)
    runs: dict[str, Callable[[], object]] = {side: made.token for side, made in found.items()}
    tokens = measure.turns({**runs, "memory": memory.reader(threads)}, threads, args.seconds)
    prompts = measure.turns({side: made.prompt for side, made in found.items()}, threads, args.seconds)
    ours, rows = next(iter(side for side in found if side.startswith(WEFT))), {}
    for side, file in model.files.items():
        pairs = list(zip(tokens[side], tokens["memory"], strict=True))
        rate = statistics.median(read / memory.size / taken for taken, read in pairs)
        rows[side] = {
            "tokens": 1000 / statistics.median(tokens[side]),
            "ratio": statistics.median(a / b for a, b in zip(tokens[side], tokens[ours], strict=True)),
            "bytes": model.read_per_token(side),
            "share": model.read_per_token(side) * rate,
            "prompt": sides.PROMPT * 1000 / statistics.median(prompts[side]),
            "prompt ratio": statistics.median(a / b for a, b in zip(prompts[side], prompts[ours], strict=True)),
            "peak": alone(side, file, threads, args.built),
        }
    rate = memory.size / statistics.median(tokens["memory"]) * 1e-6
    return {**rows, "memory": {"rate": rate, "rounds": len(tokens["memory"])}}


def working(file: Path, args: argparse.Namespace) -> Path:
    """A build of llama.cpp that computes a prompt here."""
    try:
        alone(LLAMA, file, 1, args.built)
    except subprocess.CalledProcessError as failed:
        if failed.returncode >= 0:
            raise
        print(f"llama.cpp ends by signal {-failed.returncode} here: built without AMX instead", flush=True)
        return ggml.build(args.ggml, tiles=False)
    return args.built


def alone(side: str, file: Path, threads: int, built: Path) -> float:
    """MB that a process needs for one side beyond what it has without."""
    command = [sys.executable, __file__, "--alone", side, str(file), "--threads", str(threads), "--built", str(built),
               "--prompt", str(sides.PROMPT)]  # fmt: skip
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def run_alone(args: argparse.Namespace) -> None:
    """Such a process."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # The peak so far is forgotten.
    side = opened(args.alone[0], Path(args.alone[1]), args.threads[0], args.built)
    for _ in range(8):
        side.token()
    print(resident("VmHWM") - before)


def resident(kind: str) -> float:
    """MB of this process, as the kernel counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) * 1024 / 1e6


def show(name: str, threads: int, rows: dict[str, Row]) -> None:
    """The table of a model at so many threads."""
    memory = rows["memory"]
    print(f"\n{name}, {threads} thread(s), memory {memory['rate']:.1f} GB/s, {memory['rounds']} rounds")
    print(f"{'':14}{'tok/s':>8}{'time':>7}{'MB/token':>10}{'of memory':>11}{'prompt tok/s':>14}{'time':>7}{'peak MB':>9}")
    for side, row in rows.items():
        if side != "memory":
            print(
                f"{side:14}{row['tokens']:8.1f}{row['ratio']:7.2f}{row['bytes'] / 1e6:10.1f}{row['share']:11.1%}"
                f"{row['prompt']:14.1f}{row['prompt ratio']:7.2f}{row['peak']:9.0f}",
                flush=True,
            )


@contextlib.contextmanager
def folder_for(keep: Path | None) -> Iterator[Path]:
    """Where models are made: kept for the next time, or not."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="weft-decode-") as name:
            yield Path(name)
    else:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["smollm2", "llama-0.9b"], choices=list(decoders.MODELS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--prompt", type=int, default=sides.PROMPT, help="tokens of the prompt")
    parser.add_argument("--seconds", type=float, default=10, help="per model, number of threads, and kind of run")
    parser.add_argument("--ggml", type=Path, default=ROOT / ".venv-bench/ggml", help="where llama.cpp is built")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the models there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument("--built", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    sides.PROMPT = args.prompt
    if args.alone:
        return run_alone(args)
    args.built, report = ggml.build(args.ggml), {}
    with folder_for(args.keep) as folder:
        memory = gemv.Memory(folder, gemv.CHAIN)
        for name in args.models:
            model = Model(name, args.ways, folder)
            for threads in args.threads:
                report[f"{name} {threads}"] = rows = compared(model, memory, threads, args)
                show(name, threads, rows)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
