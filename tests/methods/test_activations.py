"""Layers whose activations become bytes: the same numbers from compiled code as from onnxruntime, which reads the exported form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import weft_cli
from onnx import TensorProto, helper
from weft_artifact import Artifact

DEPTH = 100
ROWS = [1, 3, 40]
TOLERANCE = 1e-5


def model(folder: Path, columns: int, kind: str) -> Path:
    """A layer, and what follows it: tokens of two texts, a bias, or the sum with another input."""
    make, rng = helper, np.random.default_rng(columns)
    floats, lead = TensorProto.FLOAT, ["B", "T"] if kind == "tokens" else ["T"]
    matrix = rng.standard_normal((DEPTH, columns)).astype(np.float32) / 10
    tensors = [onnx.numpy_helper.from_array(matrix.T.copy() if kind == "gemm" else matrix, "w")]
    x = make.make_tensor_value_info("x", floats, [*lead, DEPTH])
    y = make.make_tensor_value_info("y", floats, [*lead, columns])
    inputs = [x]
    if kind == "gemm":
        tensors.append(onnx.numpy_helper.from_array(rng.standard_normal(columns).astype(np.float32), "b"))
        nodes = [make.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)]
    elif kind == "residual":
        inputs.append(make.make_tensor_value_info("r", floats, [*lead, columns]))
        nodes = [make.make_node("MatMul", ["x", "w"], ["p"]), make.make_node("Add", ["p", "r"], ["y"])]
    else:
        nodes = [make.make_node("MatMul", ["x", "w"], ["y"])]
    graph = make.make_graph(nodes, "layer", inputs, [y], tensors)
    path = folder / "model.onnx"
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 21)], ir_version=10), path)
    return path


def inputs(path: Path, rows: int) -> dict[str, np.ndarray]:
    """Random numbers for every input, one channel much larger than the others."""
    rng, made = np.random.default_rng(rows), {}
    for port in onnx.load(path).graph.input:
        shape = [dim.dim_value or {"B": 2}.get(dim.dim_param, rows) for dim in port.type.tensor_type.shape.dim]
        made[port.name] = rng.standard_normal(shape).astype(np.float32)
        made[port.name][..., 7] *= 30
    return made


@pytest.mark.parametrize("kind", ["plain", "tokens", "gemm", "residual"])
@pytest.mark.parametrize(("columns", "group"), [(96, 32), (192, 128), (40, 0)])
@pytest.mark.parametrize("options", ["bits=4,dim=ic", "bits=3,dim=ic,symmetric=true", "bits=8,dim=ic", "bits=4,dim=oc"])
def test_activations_as_bytes(kind: str, columns: int, group: int, options: str, tmp_path: Path) -> None:
    """Groups that divide the columns, that leave a rest, and that are all of them; few rows and many."""
    before, after, lib = model(tmp_path, columns, kind), tmp_path / "after.onnx", tmp_path / "after.so"
    layer = f"O1,quantize-weights{{{options},group={group},activations=int8,outputs=true}}"
    for ended in [
        weft_cli.run("opt", before, "--pipeline", layer, "--emit", "onnx", "-o", after, "-q"),
        weft_cli.compile_lib(after, lib),
    ]:
        assert ended.code == 0, ended.summary()
    ops = [node.op_type for node in onnx.load(after).graph.node]
    assert ops.count("QuantizeLinear") == 1, ops
    exact = onnxruntime.InferenceSession(str(before), providers=["CPUExecutionProvider"])
    rounded = onnxruntime.InferenceSession(str(after), providers=["CPUExecutionProvider"])
    session = Artifact(lib).open(threads=1)
    for rows in ROWS:
        given = inputs(before, rows)
        found, expected, wanted = session.run(given)[0], rounded.run(None, given)[0], exact.run(None, given)[0]
        size = np.abs(wanted).max()
        assert np.abs(found - expected).max() <= TOLERANCE * size
        # What codes of so few bits stand for is near what they are of, and no copy of it.
        assert 0 < np.abs(found - wanted).max() <= (0.35 if "bits=3" in options else 0.15) * size
