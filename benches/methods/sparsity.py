#!/usr/bin/env python3
"""What `sparsify-activations` costs: SmolLM2's perplexity by sparsity and criterion, with and without rotations.

    sparsity.py [--full] [--sparsities 25,40,50,65] [--ways teal,wina,...] [--form threshold|topk] [--prompt N]
                [--windows N] [--json FILE]

A way is a criterion and, behind plus signs, where the residual stream is turned (`per-layer`, `gate`, `global`), into
the axes of `all` layers that read it instead of the keys' and the gate's, and whether layers share the sparsity of
their block by what it costs (`greedy`). Limits come from two windows of 512 tokens of Python's manual, eight with
`--full`; perplexity is that of others, by onnxruntime on the exported ONNX file. Its head stays dense, and so do the
first five tokens of a window, one percent of it, as in the evaluation of WINA; `--prompt masked` masks them, too.
Without `--full`, which has all of it, there are two sparsities and five ways, the greedy one at one half only.

Do rotations help? Not SmolLM2, and these are the reasons, at one half (perplexity, exact 15.8; limits from two windows;
"first" is the first token alone left dense):

                                       every token masked    first dense    this script, five dense
    wina                                      24.3              24.1              24.2
    wina+per-layer                           109.5              49.6              46.5
    wina+per-layer+all                        34.5              28.0              27.9

The first token is the sink that all others look back to. In the model's own axes its large inputs lie in few channels,
which always pass; turned, they lie in all, and its value, which is small as large terms cancel, is off by more than
itself (relative squared error 2.1, that of all other tokens 0.17). The rest is whom the axes are for. The relative
squared error of a layer's output, by top-k, the median of 30 layers, all tokens but the first:

                       queries    keys     values    gate     up
    the model's axes    0.0111   0.0074   0.0479   0.0264   0.0491
    keys' and gate's    0.0357   0.0000   0.1687   0.0285   0.0895
    those of all        0.0087   0.0061   0.0543   0.0322   0.0661

Axes of the keys and the gate triple the error of queries and values, which read the same. And even the gate, whose
weights are orthogonal then, errs less in the model's own axes: orthogonality makes the mask the best one for given axes
(WINA's lemma), but does not say in which axes what is dropped is least. The papers' models have seven billion
parameters and more, and no axes of `all` are known from them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parent))

import quantize  # noqa: E402

QUICK = ("teal", "wina", "wina+per-layer", "wina+per-layer+all", "teal+greedy")
FULL = (*QUICK, "wina+greedy", "wina+per-layer+greedy", "wina+per-layer+all+greedy")
HALF = 50
"""The sparsity, in percent, at which greedy ways are measured in the quick form."""


class Way:
    """A criterion, where the stream is turned and into whose axes, how layers come to their sparsity."""

    def __init__(self, name: str) -> None:
        self.criterion, *more = name.split("+")
        self.allocate = "greedy" if "greedy" in more else "uniform"
        axes = "all" if "all" in more else "leading"
        rotations = [word for word in more if word not in ("greedy", "all")]
        turned = f",recognise-rms-norm,orthogonalize{{rotations={rotations[0]},axes={axes}}}" if rotations else ""
        self.exact = f"O1{turned}"

    def passes(self, args: argparse.Namespace, percent: int) -> str:
        """What makes a model sparse that the exact passes have run on."""
        options = f"sparsity={percent / 100},form={args.form},prompt={args.prompt}"
        return f"O1,sparsify-activations{{{options},criterion={self.criterion},allocate={self.allocate}}}"


def turned(model: Path, exact: str, folder: Path) -> Path:
    """The model behind the exact passes of a way, which several ways share."""
    out = folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', exact)}.onnx"
    if not out.exists():
        ended = quantize.weft_cli.run("opt", model, "--pipeline", exact, "--emit", "onnx", "-o", out, timeout=3600)
        if ended.code != 0:
            raise SystemExit(f"{exact}: {ended.summary()}")
    return out


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
    parser.add_argument("--sparsities")
    parser.add_argument("--ways")
    parser.add_argument("--form", default="threshold", choices=("threshold", "topk"))
    parser.add_argument("--prompt", default="5")
    parser.add_argument("--windows", type=int)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    windows = args.windows or (8 if args.full else 2)
    sparsities = args.sparsities or ("25,40,50,65" if args.full else "25,50")
    ways = (args.ways or ",".join(FULL if args.full else QUICK)).split(",")
    onnxruntime.set_default_logger_severity(3)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model, data, judge = quantize.smollm2_data(Path(folder), windows)
        print(f"exact: {judge(model)}", flush=True)
        for percent in map(int, sparsities.split(",")):
            for way in ways:
                if "greedy" in way and percent != HALF and not (args.full or args.ways):
                    continue
                how = Way(way)
                out = Path(folder) / "sparse.onnx"
                row = {"sparsity": percent, "way": way}
                row |= sparse(turned(model, how.exact, Path(folder)), data, how.passes(args, percent), out)
                row |= {"held_out": judge(out)}
                rows.append(row)
                print(
                    f"{percent} % {way:25} held out {row['held_out']}, mean layer mse {row['layer_mse']:.3e}, "
                    f"{row['layers']} layers, {row['seconds']:.0f} s, {row['peak_mib']:.0f} MiB",
                    flush=True,
                )
                if args.json:
                    args.json.write_text(json.dumps(rows, indent=1) + "\n")
    quantize.table("smollm2, perplexity", rows, "sparsity")


if __name__ == "__main__":
    main()
