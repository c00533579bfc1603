#!/usr/bin/env python3
"""What `sparsify-activations` costs: SmolLM2's perplexity by sparsity and criterion, with and without rotations.

    sparsity.py [--full] [--sparsities 25,40,50,65] [--ways teal,wina,...] [--form threshold|topk] [--windows N]
                [--json FILE]

A way is a criterion and, behind plus signs, where the residual stream is turned (`per-layer`, `gate`, `global`) and
whether layers share the sparsity of their block by what it costs (`greedy`). Limits come from two windows of 512 tokens
of Python's manual, eight with `--full`; perplexity is that of others, every token masked, by onnxruntime on the
exported ONNX file. Its head stays dense. Greedy ways, which take minutes, are measured at one half only unless `--full`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parent))

import quantize  # noqa: E402

WAYS = ("teal", "wina", "wina+per-layer", "teal+greedy", "wina+greedy", "wina+per-layer+greedy")
QUICK = 50
"""The sparsity, in percent, at which greedy ways are always measured."""


def pipeline(way: str, sparsity: float, form: str) -> str:
    """The passes of a way."""
    criterion, *more = way.split("+")
    allocate = "greedy" if "greedy" in more else "uniform"
    rotations = [word for word in more if word != "greedy"]
    turned = f"recognise-rms-norm,orthogonalize{{rotations={rotations[0]}}}," if rotations else ""
    options = f"sparsity={sparsity},criterion={criterion},form={form},allocate={allocate}"
    return f"O1,{turned}sparsify-activations{{{options}}}"


def sparse(model: Path, data: Path, passes: str, out: Path) -> dict[str, object]:
    """Runs the passes; says what they took and what the ledger says."""
    ledger = out.with_suffix(".json")
    ended = quantize.weft_cli.run(
        *("opt", model, "--pipeline", passes, "--calibrate", data),
        *("--ledger", ledger, "--emit", "onnx", "-o", out),
        timeout=3600,
    )
    if ended.code != 0:
        raise SystemExit(f"{passes}: {ended.summary()}")
    entry = json.loads(ledger.read_text())[0]
    errors = [line["error"]["relative_mse"] for line in entry["layers"]]
    return {
        "seconds": ended.seconds,
        "peak_mib": ended.peak_mib,
        "layers": len(errors),
        "layer_mse": float(np.mean(errors)),
        "ledger": entry["model"],
    }


def main() -> None:
    """Prints a row for each sparsity and way, then a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sparsities", default="25,40,50,65")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--form", default="threshold", choices=("threshold", "topk"))
    parser.add_argument("--windows", type=int)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    windows = args.windows or (8 if args.full else 2)
    onnxruntime.set_default_logger_severity(3)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model, data, judge = quantize.smollm2_data(Path(folder), windows)
        print(f"exact: {judge(model)}", flush=True)
        for percent in map(int, args.sparsities.split(",")):
            for way in args.ways.split(","):
                if "greedy" in way and percent != QUICK and not args.full:
                    continue
                out = Path(folder) / "sparse.onnx"
                row = {"sparsity": percent, "way": way}
                row |= sparse(model, data, pipeline(way, percent / 100, args.form), out) | {"held_out": judge(out)}
                rows.append(row)
                print(
                    f"{percent} % {way:21} held out {row['held_out']}, mean layer mse {row['layer_mse']:.3e}, "
                    f"{row['layers']} layers, {row['seconds']:.0f} s, {row['peak_mib']:.0f} MiB",
                    flush=True,
                )
                if args.json:
                    args.json.write_text(json.dumps(rows, indent=1) + "\n")
    quantize.table("smollm2, perplexity", rows, "sparsity")


if __name__ == "__main__":
    main()
