"""Weights that are computed from weights: folded, named, and the same numbers in onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import patterns
import pytest
import weft_cli

EXPORTS = sorted((Path(__file__).parent / "exports").glob("*.onnx"))
TOLERANCE = 1e-5

# What is noted of an export, unless its exporter folded the expression before us; operators that must be gone.
EXPORTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "compander_atan": ("weight compander, arctan: a = 0.6", ("Atan", "Div")),
    "compander_arsinh": ("weight compander, arsinh: a = 0.6", ("Log", "Sqrt", "Asinh")),
    "compander_erf": ("weight compander, erf: a = 0.6", ("Erf", "Div")),
    "compander_conv": ("weight compander, arctan: a = 0.5", ("Atan", "BatchNormalization")),
    "weight_norm": ("weight normalisation", ("ReduceL2", "Sqrt", "Div", "Pow")),
    "powerpropagation": ("powerpropagation: alpha = 2.5", ("Pow", "Abs")),
    "weight_standardisation": ("weight standardisation", ("Sqrt", "Div", "ReduceMean")),
    "weighted_convolution": ("filters weighed by place", ("Concat", "MatMul", "Einsum", "Slice")),
    "dora": ("DoRA merged", ("ReduceL2", "Sqrt", "Div")),
    "experts_averaged": ("the average of 4 weights", ("ReduceMean",)),
}

# What the exporter folded in part, so that a name can no longer be told: the logarithm of a constant.
UNNAMED = {"compander_arsinh.torchscript.onnx"}


def optimised(model: Path, out: Path, *flags: str) -> dict[str, Any]:
    """Runs `weft opt`; gives what it tells as JSON."""
    ended = weft_cli.run("opt", model, "--emit", "onnx", "-o", out, "--json", "-q", *flags)
    assert ended.code == 0, ended.summary()
    return json.loads(ended.out)


def kinds(model: onnx.ModelProto) -> list[str]:
    """The operators of a model and of the graphs within it."""
    found, graphs = [], [model.graph]
    while graphs:
        for node in graphs.pop().node:
            found.append(node.op_type)
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return found


def run(model: Path, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs in onnxruntime, which changes nothing about the graph."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return session.run(None, {port.name: inputs[port.name] for port in session.get_inputs()})


def inputs_of(model: onnx.ModelProto, fixed: dict[str, str]) -> dict[str, np.ndarray]:
    """Random numbers for every input but those that are fixed; symbolic extents are 3."""
    rng = np.random.default_rng(5)
    made = {}
    for port in model.graph.input:
        shape = [dim.dim_value or 3 for dim in port.type.tensor_type.shape.dim]
        number = fixed.get(port.name)
        made[port.name] = np.asarray(rng.normal(size=shape) if number is None else number, np.float32)
    return made


def agree(before: Path, after: Path, fixed: dict[str, str]) -> None:
    """The same numbers, relative to the largest."""
    inputs = inputs_of(onnx.load(before), fixed)
    for expected, found in zip(run(before, inputs), run(after, inputs), strict=True):
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize("pattern", patterns.WEIGHTS, ids=lambda pattern: pattern.name)
def test_pattern_is_folded_and_named(pattern: patterns.Pattern, tmp_path: Path) -> None:
    """In every way a model may spell it."""
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    onnx.save(pattern.write(), before)
    fix = [flag for name, value in pattern.fix.items() for flag in ("--fix", f"{name}={value}")]
    told = optimised(before, after, "--pipeline", "O1", *fix)
    assert any(pattern.note in note["note"] for note in told["notes"]), told["notes"]
    assert not set(pattern.gone) & set(kinds(onnx.load(after)))
    agree(before, after, pattern.fix)


@pytest.mark.parametrize(
    "model", [file for file in EXPORTS if file.name.split(".")[0] in EXPORTED], ids=lambda file: file.stem
)
def test_export_is_folded(model: Path, tmp_path: Path) -> None:
    """As two exporters of PyTorch leave it."""
    note, gone = EXPORTED[model.name.split(".")[0]]
    after = tmp_path / "after.onnx"
    told = optimised(model, after, "--pipeline", "O1")
    assert not set(gone) & set(kinds(onnx.load(after)))
    if model.name not in UNNAMED and (set(gone) - {"BatchNormalization"}) & set(kinds(onnx.load(model))):
        assert any(note in found["note"] for found in told["notes"]), told["notes"]
    agree(model, after, {})


@pytest.mark.parametrize(
    "model", [file for file in EXPORTS if file.name.startswith("lora_adapter")], ids=lambda file: file.stem
)
def test_adapter_is_merged(model: Path, tmp_path: Path) -> None:
    """LoRA beside its base, as two exporters leave it: one product."""
    after = tmp_path / "after.onnx"
    told = optimised(model, after, "--pipeline", "O1")
    assert [note["note"] for note in told["notes"]][-1] == "3 products of `%x` are one"
    assert sum(kinds(onnx.load(after)).count(op) for op in ("MatMul", "Gemm")) == 1
    agree(model, after, {})


@pytest.mark.parametrize("adapted", patterns.ADAPTERS, ids=", ".join)
def test_adapter_is_merged_however_it_is_spelled(adapted: tuple[str, str, str], tmp_path: Path) -> None:
    """LoRA and DoRA on activations, with the scale in several places: one product."""
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    onnx.save(patterns.adapted(*adapted), before)
    fixed = {"alpha": "2.0"} if "fixed" in adapted else {}
    told = optimised(before, after, "--pipeline", "O1", *(f"--fix={name}={n}" for name, n in fixed.items()))
    assert any("products of `%x` are one" in note["note"] for note in told["notes"]), told["declined"]
    assert sum(kinds(onnx.load(after)).count(op) for op in ("MatMul", "Gemm")) == 1
    assert "ReduceL2" not in kinds(onnx.load(after))
    agree(before, after, fixed)
