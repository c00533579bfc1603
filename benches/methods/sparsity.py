#!/usr/bin/env python3
"""What `sparsify-activations` costs: SmolLM2's perplexity by sparsity and criterion, with and without rotations.

    sparsity.py [--sparsities 25,40,50,65] [--ways teal,wina,...] [--form threshold|topk] [--windows N] [--json FILE]

A way is a criterion and, behind a plus, where the residual stream is turned: `wina+per-layer`, `wina+gate`,
`wina+global`. Limits come from some windows of 512 tokens of Python's manual; perplexity is that of others, every token
masked, by onnxruntime on the exported ONNX file. Its head stays dense.
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

WAYS = ("teal", "wina", "teal+per-layer", "wina+per-layer", "wina+gate", "wina+global")


def pipeline(way: str, sparsity: float, form: str) -> str:
    """The passes of a way."""
    criterion, _, rotations = way.partition("+")
    turned = f"recognise-rms-norm,orthogonalize{{rotations={rotations}}}," if rotations else ""
    return f"O1,{turned}sparsify-activations{{sparsity={sparsity},criterion={criterion},form={form}}}"


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
    """Prints a table, a row for each sparsity and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sparsities", default="25,40,50,65")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--form", default="threshold", choices=("threshold", "topk"))
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    onnxruntime.set_default_logger_severity(3)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model, data, judge = quantize.smollm2_data(Path(folder), args.windows)
        print(f"exact: {judge(model)}", flush=True)
        for percent in map(int, args.sparsities.split(",")):
            for way in args.ways.split(","):
                out = Path(folder) / "sparse.onnx"
                row = {"sparsity": percent, "way": way}
                row |= sparse(model, data, pipeline(way, percent / 100, args.form), out) | {"held_out": judge(out)}
                rows.append(row)
                print(
                    f"{percent} % {way:15} held out {row['held_out']}, mean layer mse {row['layer_mse']:.3e}, "
                    f"{row['layers']} layers, {row['seconds']:.0f} s, {row['peak_mib']:.0f} MiB",
                    flush=True,
                )
                if args.json:
                    args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
