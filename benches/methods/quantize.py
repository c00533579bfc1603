#!/usr/bin/env python3
"""What `quantize-weights` costs: SmolLM2's perplexity, MiniLM's output error; by setting, way and method.

    quantize.py [--full] [--models smollm2,minilm] [--settings w4g128,w3g128,w4g32] [--ways rtn-oc,...] [--windows N]
                [--json FILE]

Each model is calibrated on some inputs and judged on others, by onnxruntime on the exported ONNX file. SmolLM2's
inputs are windows of 512 tokens of Python's manual, two of them for calibration, eight with `--full`, and eight others
held out: from window to window ratios of perplexities at 3 bits differ by a tenth, those of the means of eight by 4 %.
Its weights were 4-bit numbers already when it was fetched, so that below 8 bits methods can be compared, not models.
MiniLM's are random words, four inputs for each window. Ends in a table for each model.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path[:0] = [str(TESTS / "python"), str(TESTS / "models")]

import fetch  # noqa: E402
import inputs  # noqa: E402
import smollm2  # noqa: E402
import texts  # noqa: E402
import weft_cli  # noqa: E402

WAYS = ("rtn-oc", "rtn-ic", "rtn-ada", "gptq-oc", "gptq-ada")
LENGTH = 512
HELD_OUT = 40
"""The first window that is held out."""
JUDGED = 8
"""So many windows are."""
Judge = Callable[[Path], dict[str, float]]


def session(model: Path) -> onnxruntime.InferenceSession:
    """The model in onnxruntime."""
    return onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])


def perplexity(model: Path, ids: np.ndarray) -> dict[str, float]:
    """The perplexity of a decoder on windows of token ids."""
    run = session(model)
    cache = [port for port in run.get_inputs() if port.name.startswith("past")]
    past = {port.name: np.zeros((1, port.shape[1], 0, port.shape[3]), np.float32) for port in cache}
    losses = []
    for row in ids:
        logits = run.run(["logits"], {"input_ids": row[None], **past})[0][0, :-1].astype(np.float64)
        logits -= logits.max(-1, keepdims=True)
        chances = logits[np.arange(len(row) - 1), row[1:]] - np.log(np.exp(logits).sum(-1))
        losses.append(-chances.mean())
    return {"perplexity": float(np.exp(np.mean(losses)))}


def output_error(model: Path, exact: Path, sets: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """The relative mean squared error of the outputs of floats, each counting as much as the others."""
    now, then = session(model), session(exact)
    sums: dict[str, np.ndarray] = {}
    for values in sets:
        outputs = zip(then.get_outputs(), now.run(None, values), then.run(None, values), strict=True)
        for port, found, expected in outputs:
            if port.type == "tensor(float)":
                squares = [np.square(part, dtype=np.float64).sum() for part in (found - expected, expected)]
                sums[port.name] = sums.get(port.name, 0) + np.array(squares)
    return {"relative_mse": float(np.mean([off / total for off, total in sums.values()]))}


def smollm2_data(folder: Path, windows: int) -> tuple[Path, Path, Judge]:
    """The model, its calibration data, and what judges it."""
    data = folder / "smollm2.npy"
    np.save(data, texts.windows(windows, LENGTH))
    held_out = texts.windows(JUDGED, LENGTH, HELD_OUT)
    return smollm2.model(), data, lambda model: perplexity(model, held_out)


def minilm_data(folder: Path, windows: int) -> tuple[Path, Path, Judge]:
    """The model, its calibration data, and what judges it."""
    row = fetch.row("minilm_l3_fp32")
    model, data = fetch.fetch(row), folder / "minilm"
    made = [inputs.make(row, {"B": 1, "L": 128}, seed) for seed in range(8 * windows)]
    for number, values in enumerate(made[: 4 * windows]):
        (data / str(number)).mkdir(parents=True)
        for name, array in values.items():
            np.save(data / str(number) / f"{name}.npy", array)
    return model, data, lambda other: output_error(other, model, made[4 * windows :])


MODELS = {"smollm2": smollm2_data, "minilm": minilm_data}


def quantised(model: Path, data: Path, setting: str, way: str, out: Path) -> dict[str, object]:
    """Runs the pass; says what it took and what the ledger says."""
    bits, group = setting.removeprefix("w").split("g")
    method, dim = way.split("-")
    options = f"bits={bits},group={group},dim={dim},method={method}"
    ledger = out.with_suffix(".json")
    ended = weft_cli.run(
        *("opt", model, "--pipeline", f"O1,quantize-weights{{{options}}}", "--calibrate", data),
        *("--ledger", ledger, "--emit", "onnx", "-o", out),
        timeout=3600,
    )
    if ended.code != 0:
        raise SystemExit(f"{model.name} {setting} {way}: {ended.summary()}")
    entry = json.loads(ledger.read_text())[0]
    errors = [line["error"]["relative_mse"] for line in entry["layers"]]
    ways = sum("(ic)" in line["what"] for line in entry["layers"])
    return {
        "seconds": ended.seconds,
        "peak_mib": ended.peak_mib,
        "layers": len(errors),
        "ic_layers": ways,
        "layer_mse": float(np.mean(errors)),
        "ledger": entry["model"],
    }


def table(title: str, rows: list[dict[str, object]], across: str) -> None:
    """Prints what the rows say of the held-out inputs: a line for each way, a column for each value of `across`."""
    columns, ways = list(dict.fromkeys(row[across] for row in rows)), dict.fromkeys(row["way"] for row in rows)
    cells = {(row["way"], row[across]): next(iter(row["held_out"].values())) for row in rows}
    print(f"\n{title:24}" + "".join(f"{column!s:>12}" for column in columns))
    for way in ways:
        found = (cells.get((way, column)) for column in columns)
        print(f"{way:24}" + "".join(f"{'-' if cell is None else f'{cell:.5g}':>12}" for cell in found))


def main() -> None:
    """Prints a row for each setting and way, then a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--settings", default="w4g128,w3g128,w4g32")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--windows", type=int)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    windows = args.windows or (8 if args.full else 2)
    onnxruntime.set_default_logger_severity(3)
    rows = []
    for name in args.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            model, data, judge = MODELS[name](Path(folder), windows)
            print(f"{name} exact: {judge(model)}", flush=True)
            for setting in args.settings.split(","):
                for way in args.ways.split(","):
                    out = Path(folder) / "quantised.onnx"
                    row = {"model": name, "setting": setting, "way": way}
                    row |= quantised(model, data, setting, way, out) | {"held_out": judge(out)}
                    rows.append(row)
                    print(
                        f"{name} {setting} {way:9} held out {row['held_out']}, mean layer mse {row['layer_mse']:.3e}, "
                        f"{row['ic_layers']} of {row['layers']} ic, {row['seconds']:.0f} s, {row['peak_mib']:.0f} MiB",
                        flush=True,
                    )
                    if args.json:
                        args.json.write_text(json.dumps(rows, indent=1))
    for name in args.models.split(","):
        own = [row for row in rows if row["model"] == name]
        table(f"{name}, {next(iter(own[0]['held_out']))}", own, "setting")


if __name__ == "__main__":
    main()
