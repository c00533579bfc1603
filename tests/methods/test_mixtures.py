"""ONNX Runtime's mixtures of experts: the same numbers, only the chosen experts' work, merged on request alone."""

from __future__ import annotations

from pathlib import Path

import mixtures
import numpy as np
import onnx
import pytest
import weft_cli
from mixtures import CLOSE, CODED, PLAIN, Mixture
from test_experts import distance, merged
from test_weights import kinds, run


def inputs(mixture: Mixture, count: int = 6) -> dict[str, np.ndarray]:
    """Random tokens, and gates if they are an input."""
    rng = np.random.default_rng(5)
    tokens = (2, count) if len(mixture.tokens) == 2 else (count,)
    drawn = {"x": np.float32(rng.normal(size=(*tokens, mixture.width)))}
    if mixture.mixing:
        drawn["mixing"] = np.float32(rng.uniform(0.1, 1, size=(count, mixture.experts)))
    return drawn


def computed(model: Path, given: dict[str, np.ndarray], *flags: str) -> np.ndarray:
    """What weft makes of it."""
    files = []
    for name, array in given.items():
        np.save(model.parent / f"{name}.npy", array)
        files += ["--input", f"{name}={model.parent / name}.npy"]
    ended = weft_cli.run("run", model, *files, "--output-dir", model.parent / "out", "-q", *flags)
    assert ended.code == 0, ended.summary()
    return np.load(model.parent / "out" / "y.npy")


@pytest.mark.parametrize("mixture", PLAIN + CODED, ids=lambda mixture: mixture.name)
def test_numbers_are_those_of_the_definition(mixture: Mixture, tmp_path: Path) -> None:
    """Interpreted and compiled, and onnxruntime's, where it has a kernel."""
    model = tmp_path / "model.onnx"
    onnx.save(mixture.model(), model)
    given = inputs(mixture)
    expected = mixture.expected(given["x"], given.get("mixing"))
    assert distance(computed(model, given, "--backend", "interp"), expected) < 1e-5
    assert distance(computed(model, given), expected) < 1e-5
    if mixture.in_runtime:
        # Its kernels for 8 bits in blocks round the tokens to bytes.
        assert distance(run(model, given)[0], expected) < (2e-2 if mixture.bits == 8 else 1e-5)


@pytest.mark.parametrize("mixture", [PLAIN[4], CODED[-1]], ids=lambda mixture: mixture.name)
def test_one_token(mixture: Mixture, tmp_path: Path) -> None:
    """Most experts have nothing to do."""
    model, given = tmp_path / "model.onnx", inputs(mixture, 1)
    onnx.save(mixture.model(), model)
    assert distance(computed(model, given), mixture.expected(given["x"])) < 1e-5


@pytest.mark.parametrize("mixture", CLOSE, ids=lambda mixture: mixture.name)
def test_merged_on_request_alone(mixture: Mixture, tmp_path: Path) -> None:
    """To the network of their averaged weights, close to what they gave."""
    model = mixture.model()
    _, done, reasons = merged(model, tmp_path)
    assert not done
    assert any(reason.startswith("the experts are routed") for reason in reasons), reasons
    after, done, reasons = merged(model, tmp_path, "{routed=uniform}")
    assert done and done[0].startswith("4 routed experts averaged by 0.250"), reasons
    assert not {"Softmax", "TopK", "NonZero"} & set(kinds(onnx.load(after)))
    given = inputs(mixture)
    assert distance(computed(after, given), mixture.expected(given["x"])) < 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attributes": {"use_sparse_mixer": 1}}, "`use_sparse_mixer` = 1, only 0"),
        ({"attributes": {"novelty": 1}}, "novelty"),
        ({"activation": "tanh"}, "`activation_type` = `tanh`, only `relu`"),
        ({"chosen": 5}, "`k` = 5 of 4 experts"),
        ({"activation": "swiglu"}, "`swiglu_fusion` = 0 with no third layer"),
        ({"bits": 4, "attributes": {"quant_type": "fp8"}}, "`quant_type` = `fp8`, only `int`"),
        ({"bits": 4, "attributes": {"weights_prepacked": 1}}, "weights in an order that one processor wants"),
        ({"bits": 4, "attributes": {"block_size": 5}}, "32 inputs in blocks of 5"),
        ({"bits": 4, "attributes": {"block_size": 16}}, "scales are not [4, 48, 2]"),
        ({"bits": 4, "attributes": {"fc2_expert_weight_bits": 3}}, "weights of 3 bits, only 2, 4 and 8"),
    ],
)
def test_what_is_not_understood_is_refused(changes: dict, message: str, tmp_path: Path) -> None:
    """With the reason."""
    model = tmp_path / "model.onnx"
    onnx.save(mixtures.Mixture("refused", **changes).model(), model)
    ended = weft_cli.run("opt", model, "--pipeline", "O1", "-o", tmp_path / "y.weft")
    assert ended.code == 1
    assert message in ended.err, ended.err
