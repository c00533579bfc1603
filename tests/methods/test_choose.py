"""The budgeted choice: within its bound by onnxruntime's numbers, exact where nothing may be off, fastest where all may."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import weft_cli

FLOATS, INTS = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
TOKENS, VOCABULARY, WIDTH, INNER = 48, 96, 64, 160


def decoder() -> onnx.ModelProto:
    """Two gated blocks over the mean of the tokens so far; the second block's weights are spread far more."""
    make, random = onnx.helper, np.random.default_rng(5)
    nodes, tensors = [], []

    def weight(name: str, *shape: int, spread: float = 1.0) -> str:
        numbers = random.standard_normal(shape) * np.exp(0.4 * spread * random.standard_normal(shape))
        tensors.append(onnx.numpy_helper.from_array(np.float32(numbers / np.sqrt(shape[0])), name))
        return name

    def add(op: str, *operands: str, **attributes: object) -> str:
        nodes.append(make.make_node(op, operands, [f"v{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    tensors.append(onnx.numpy_helper.from_array(np.array(1), "axis"))
    tensors.append(onnx.numpy_helper.from_array(np.float32(6), "sharp"))
    r = add("CumSum", add("Gather", weight("e", VOCABULARY, WIDTH), "input_ids"), "axis")
    scale = weight("scale", WIDTH, spread=0.1)
    for block in range(2):
        h = add("LayerNormalization", r, scale)
        gate = add("MatMul", h, weight(f"gate{block}", WIDTH, INNER, spread=1 + 2 * block))
        up = add("MatMul", h, weight(f"up{block}", WIDTH, INNER, spread=1 + 2 * block))
        inner = add("Mul", add("Mul", gate, add("Sigmoid", gate)), up)
        r = add("Add", r, add("MatMul", inner, weight(f"down{block}", INNER, WIDTH)))
    head = add("Mul", weight("head", WIDTH, VOCABULARY), "sharp")
    nodes.append(make.make_node("MatMul", [add("LayerNormalization", r, scale), head], ["logits"]))
    graph = make.make_graph(
        nodes, "decoder",
        [make.make_tensor_value_info("input_ids", INTS, ("B", "T"))],
        [make.make_tensor_value_info("logits", FLOATS, ("B", "T", VOCABULARY))],
        tensors,
    )  # fmt: skip
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 21)], ir_version=10)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model and its text."""
    folder = tmp_path_factory.mktemp("choose")
    onnx.save(decoder(), folder / "model.onnx")
    ids = np.random.default_rng(6).integers(0, VOCABULARY, (4, TOKENS))
    np.save(folder / "ids.npy", ids)
    return folder


def logits(model: Path, ids: np.ndarray) -> np.ndarray:
    """What onnxruntime makes of a text."""
    options = onnxruntime.SessionOptions()
    # It rounds what meets weights of 4 bits to 8 bits otherwise.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"input_ids": ids})[0].astype(np.float64)


def log_chances(logits: np.ndarray) -> np.ndarray:
    """The logarithms of the softmax."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def errors(place: Path, model: Path) -> dict[str, float]:
    """How far a model is off, by each measure that bounds are given in."""
    ids = np.load(place / "ids.npy")
    exact, found = logits(place / "model.onnx", ids), logits(model, ids)
    p, q = log_chances(exact), log_chances(found)
    guesses = [np.take_along_axis(x[:, :-1], ids[:, 1:, None], -1).mean() for x in (p, q)]
    return {
        "mse": float(np.square(found - exact).sum() / np.square(exact).sum()),
        "kl": float((np.exp(p) * (p - q)).sum(-1).mean()),
        "ppl": float(np.exp(guesses[0] - guesses[1])),
    }


def chosen(place: Path, bound: str, options: str = "") -> tuple[Path, dict]:
    """The model within a bound, and the ledger."""
    out, ledger = place / "chosen.onnx", place / "ledger.json"
    ended = weft_cli.run(
        *("opt", place / "model.onnx", "--pipeline", f"O1,choose{options}", "--calibrate", place / "ids.npy"),
        *("--max-error", bound, "--ledger", ledger, "--emit", "onnx", "-o", out),
        timeout=600,
    )
    assert ended.code == 0, ended.summary()
    return out, json.loads(ledger.read_text())[0]


def picoseconds(ledger: dict) -> int:
    """What all layers are predicted to take."""
    return sum(line["picoseconds"] for line in ledger["layers"])


@pytest.mark.parametrize("bound", ["mse:1e-4", "mse:0.003", "kl:0.002", "ppl:1.001"])
def test_the_bound_holds_elsewhere(place: Path, bound: str) -> None:
    """Measured by another runtime, on the model as it was written."""
    model, ledger = chosen(place, bound)
    measure, most = bound.split(":")
    found = errors(place, model)
    assert found[measure] <= float(most) * 1.001, found
    told = {"mse": ledger["model"]["outputs"]["relative_mse"], "kl": ledger["model"]["text"]["kl"]}
    assert all(found[name] == pytest.approx(value, rel=0.02, abs=1e-9) for name, value in told.items())


def test_tight_is_exact_and_loose_is_fastest(place: Path) -> None:
    """Both ends of the scale. Codes of 4 bits are taken apart faster than those of 8 even where caches hold both."""
    model, ledger = chosen(place, "mse:0")
    assert {line["what"] for line in ledger["layers"]} == {"f32"} and len(ledger["layers"]) == 7
    assert errors(place, model)["mse"] < 1e-10
    _, ledger = chosen(place, "mse:1", "{menu=int8|int4-oc,sparsity=0}")
    assert {line["what"] for line in ledger["layers"]} == {"int4-oc"}


def test_more_error_is_never_slower(place: Path) -> None:
    """Nor is any uniform setting that holds faster; some choices are mixtures."""
    ledgers = [chosen(place, f"kl:{bound}")[1] for bound in (1e-8, 1e-7, 1e-6, 1e-5, 1)]
    times = [picoseconds(ledger) for ledger in ledgers]
    assert all(later <= 1.02 * time for time, later in pairwise(times)) and times[0] > times[-1]
    for ledger in ledgers:
        uniform = [trial for trial in ledger["tried"] if trial["within"] and "every layer" in trial["what"]]
        assert all(picoseconds(ledger) <= 1.02 * trial["picoseconds"] for trial in uniform)
    bits = [{line["what"].split("-")[0] for line in ledger["layers"]} for ledger in ledgers]
    assert any(len(mixture) > 1 for mixture in bits), bits


def test_the_plain_method_and_named_layers(place: Path) -> None:
    """Layers that are skipped are not in the ledger; without second moments the bound holds as well."""
    model, ledger = chosen(place, "kl:0.004", "{menu=int8|int3-oc,method=rtn,sparsity=0,skip=head*,outputs=false}")
    assert len(ledger["layers"]) == 6
    assert errors(place, model)["kl"] <= 0.004
