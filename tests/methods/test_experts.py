"""Experts that tokens are dealt out to at random: merged to the network of their averaged weights, near misses told why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import patterns
import pytest
import weft_cli
from test_weights import EXPORTS, kinds, optimised, run

RANDOM = {"RandomUniform", "RandomUniformLike", "TopK", "Gather", "GatherND", "GatherElements", "ScatterElements"}
PARTITIONS = [file for file in EXPORTS if file.name.startswith("partition")]
CLOSE = patterns.Experts.drawn(0.02)


def merged(model: onnx.ModelProto, folder: Path, options: str = "") -> tuple[Path, list[str], list[str]]:
    """The model after the pass, what the ledger says was done, and the reasons of what declined."""
    before, after = folder / "before.onnx", folder / "after.onnx"
    onnx.save(model, before)
    told = optimised(before, after, "--pipeline", f"O1,merge-experts{options},clean")
    reasons = [row["reason"] for row in told["declined"] if row["pass"] == "merge-experts"]
    return after, [line["what"] for entry in told["ledger"] for line in entry["layers"]], reasons


def tokens(*shape: int) -> np.ndarray:
    """Random tokens."""
    return np.float32(np.random.default_rng(7).normal(size=shape))


def answer(model: Path, x: np.ndarray) -> np.ndarray:
    """What a model gives; an order that is an input is one like another."""
    return run(model, {"x": x, "noise": np.float32(np.random.default_rng(8).random(patterns.TOKENS))})[0]


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Relative, in the Frobenius norm."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("name", patterns.partitions(CLOSE))
def test_random_partition_becomes_one_network(name: str, tmp_path: Path) -> None:
    """In every way a model may spell it: averaged, and side by side."""
    model, x = patterns.partitions(CLOSE)[name], tokens(2, patterns.TOKENS // 2, patterns.WIDTH)
    after, notes, _ = merged(model, tmp_path)
    assert notes and notes[0].startswith("4 experts averaged"), notes
    assert not RANDOM & set(kinds(onnx.load(after)))
    assert distance(answer(after, x), CLOSE.averaged(x)) < 1e-6
    after, notes, _ = merged(model, tmp_path, "{mode=concat}")
    assert notes == ["4 experts side by side"]
    assert distance(answer(after, x), CLOSE.ensemble(x)) < 1e-6


def test_what_is_no_random_partition_stays(tmp_path: Path) -> None:
    """Experts far apart, and an order that the tokens decide: left alone, with the reason."""
    far = patterns.Experts.drawn(0.5)
    after, notes, reasons = merged(patterns.partition_of_batch(far, "stacked"), tmp_path)
    assert not notes and "TopK" in kinds(onnx.load(after))
    assert any("from the average, more than 0.1" in reason for reason in reasons), reasons
    _, notes, reasons = merged(patterns.ordered_by_tokens(CLOSE), tmp_path)
    assert not notes and "the order depends on the tokens: the experts are routed" in reasons


@pytest.mark.parametrize("model", PARTITIONS, ids=lambda file: file.stem)
def test_export_becomes_one_network(model: Path, tmp_path: Path) -> None:
    """As two exporters of PyTorch leave it; any draw of the order is close to the average."""
    x = tokens(2, 8, 8)
    after, notes, reasons = merged(onnx.load(model), tmp_path)
    assert notes and notes[0].startswith("4 experts averaged"), reasons
    assert not RANDOM & set(kinds(onnx.load(after)))
    assert distance(answer(after, x), answer(model, x)) < 0.05


@pytest.mark.parametrize(("spread", "published"), [(0.3, 5.1e-2), (0.1, 5.9e-3), (0.03, 5.5e-4), (0.01, 5.8e-5)])
def test_average_is_of_second_order(spread: float, published: float, tmp_path: Path) -> None:
    """The distance of averaged weights from the ensemble falls with the square of the spread (width 64, hidden 256)."""
    experts = patterns.Experts.drawn(spread, width=64, hidden=256)
    model, x = patterns.partition_of_batch(experts, "stacked"), tokens(2, patterns.TOKENS // 2, 64)
    after, _, _ = merged(model, tmp_path, "{spread=10}")
    found = distance(answer(after, x), experts.ensemble(x))
    print(f"spread {spread}: averaged weights {found:.1e} from the ensemble, published {published:.1e}")
    assert published / 2 < found < published * 2


ROUTED = [file for file in EXPORTS if file.name.startswith("routed")]


@pytest.mark.parametrize("model", ROUTED, ids=lambda file: file.stem)
def test_routed_experts_are_merged_on_request_alone(model: Path, tmp_path: Path) -> None:
    """Dense gates, masks of the best two, loops over experts: left alone with the reason, unless asked for."""
    before = onnx.load(model)
    _, notes, reasons = merged(before, tmp_path)
    assert not notes
    assert any(reason.startswith("the experts are routed") for reason in reasons), reasons
    after, notes, reasons = merged(before, tmp_path, "{routed=uniform}")
    assert notes and notes[0].startswith("4 routed experts averaged by 0.250"), reasons
    found = onnx.load(after)
    assert not {"Softmax", "TopK", "NonZero"} & set(kinds(found))
    x = tokens(2, 8, 8)
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in before.graph.initializer}
    if "experts.w1" in weights:
        parts = (weights[f"experts.{part}"].astype(np.float64) for part in ("w1", "b1", "w2", "b2"))
        expected = patterns.network(x, *(part.mean(0).squeeze() for part in parts))
        assert distance(answer(after, x), expected) < 1e-6


def test_shares_need_calibration_data(tmp_path: Path) -> None:
    """Without it there is a clear error."""
    ended = weft_cli.run("opt", ROUTED[0], "--pipeline", "O1,merge-experts{routed=frequency}", "-o", tmp_path / "y.weft")
    assert ended.code == 1
    assert "`routed=frequency` needs calibration data: give `--calibrate DATA`" in ended.err
