"""Weights of few bits as other tools write them: the same numbers in onnxruntime, before and after weft wrote them again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import weft_cli
from onnx import TensorProto, helper
from weft_artifact import Artifact

DEPTH, COLUMNS = 96, 48
ROWS = [1, 5]
TOLERANCE = 1e-5


def packed(codes: np.ndarray, bits: int) -> bytes:
    """Codes from the low end of each byte."""
    each = 8 // bits
    flat = codes.reshape(-1, each).astype(np.uint8)
    return bytes(np.bitwise_or.reduce(flat << (np.arange(each, dtype=np.uint8) * bits), axis=1).astype(np.uint8))


def saved(folder: Path, nodes: list[onnx.NodeProto], tensors: list[onnx.TensorProto], contrib: bool = False) -> Path:
    """A model of one input and one output."""
    make, floats = helper, TensorProto.FLOAT
    x, y = (make.make_tensor_value_info(name, floats, ("M", n)) for name, n in (("x", DEPTH), ("y", COLUMNS)))
    opsets = [make.make_opsetid("", 21)] + ([make.make_opsetid("com.microsoft", 1)] if contrib else [])
    path = folder / "model.onnx"
    onnx.save(make.make_model(make.make_graph(nodes, "few_bits", [x], [y], tensors), opset_imports=opsets, ir_version=10), path)
    return path


def matmul_n_bits(folder: Path, bits: int, block: int, zeros: bool, bias: bool) -> Path:
    """ONNX Runtime's own operator, as its quantisers write it."""
    rng, blocks = np.random.default_rng(bits * block), -(-DEPTH // block)
    codes = packed(rng.integers(0, 1 << bits, (COLUMNS, blocks, block)), bits)
    tensors = [
        helper.make_tensor("q", TensorProto.UINT8, (COLUMNS, blocks, block * bits // 8), codes, raw=True),
        onnx.numpy_helper.from_array(rng.uniform(0.01, 0.1, COLUMNS * blocks).astype(np.float32), "s"),
    ]
    operands = ["x", "q", "s"]
    if zeros:
        length = -(-blocks * bits // 8)
        tensors.append(helper.make_tensor("z", TensorProto.UINT8, (COLUMNS * length,), rng.bytes(COLUMNS * length), raw=True))
    if bias:
        tensors.append(onnx.numpy_helper.from_array(rng.standard_normal(COLUMNS).astype(np.float32), "b"))
    if zeros or bias:
        operands += ["z" if zeros else "", *(["", "b"] if bias else [])]
    attributes = {"K": DEPTH, "N": COLUMNS, "bits": bits, "block_size": block, "accuracy_level": 1}
    node = helper.make_node("MatMulNBits", operands, ["y"], domain="com.microsoft", **attributes)
    return saved(folder, [node], tensors, contrib=True)


def dequantised(folder: Path, dtype: int, axis: int, block: int, transposed: bool) -> Path:
    """QDQ form: a product with dequantised codes, which may lie as the linear layer had them."""
    rng, bits = np.random.default_rng(dtype * block + axis), 8 if dtype in (TensorProto.INT8, TensorProto.UINT8) else 4
    extents = (COLUMNS, DEPTH) if transposed else (DEPTH, COLUMNS)
    groups = tuple(n // block if i == axis else n for i, n in enumerate(extents))
    amount = [int(np.prod(shape)) for shape in (extents, groups)]
    tensors = [
        helper.make_tensor("q", dtype, extents, packed(rng.integers(0, 1 << bits, amount[0]), bits), raw=True),
        onnx.numpy_helper.from_array(rng.uniform(0.01, 0.1, groups).astype(np.float32), "s"),
        helper.make_tensor("z", dtype, groups, packed(rng.integers(0, 1 << bits, amount[1]), bits), raw=True),
    ]
    nodes = [helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=axis, block_size=block)]
    if transposed:
        nodes.append(helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]))
    nodes.append(helper.make_node("MatMul", ["x", "t" if transposed else "w"], ["y"]))
    return saved(folder, nodes, tensors)


PACKED = [
    (2, 16, True, False), (2, 32, False, True), (4, 16, True, False), (4, 32, False, True), (4, 128, True, True),
    (8, 32, True, False), (8, 64, False, False),
]  # fmt: skip
BLOCKED = [
    (TensorProto.UINT4, 0, 16, False), (TensorProto.INT4, 0, 32, False), (TensorProto.UINT4, 1, 16, False),
    (TensorProto.INT8, 1, 48, False), (TensorProto.UINT4, 1, 32, True), (TensorProto.INT4, 0, 16, True),
]  # fmt: skip


def rows() -> Iterator[np.ndarray]:
    """Inputs."""
    for count in ROWS:
        yield np.random.default_rng(count).standard_normal((count, DEPTH)).astype(np.float32)


def outputs(model: Path) -> list[np.ndarray]:
    """What onnxruntime computes; its optimiser would round activations to 8 bits."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return [session.run(None, {"x": x})[0] for x in rows()]


def agrees(model: Path, folder: Path) -> None:
    """weft's artifact against onnxruntime, and onnxruntime against itself after weft wrote the model again."""
    expected = outputs(model)
    ended = weft_cli.compile_lib(model, folder / "model.so")
    assert ended.code == 0, ended.summary()
    with Artifact(folder / "model.so").open(2, profile=True) as session:
        found = [session.run({"x": x})[0].copy() for x in rows()]
        assert any(schedule.startswith("codes") for schedule in session.profile()), session.profile()
    written = folder / "again.onnx"
    ended = weft_cli.run("opt", model, "--pipeline", "O2", "--emit", "onnx", "-o", written, "-q")
    assert ended.code == 0, ended.summary()
    onnx.checker.check_model(str(written), full_check=True)
    kinds = [node.op_type for node in onnx.load(written).graph.node]
    assert "DequantizeLinear" in kinds and "Transpose" not in kinds and "MatMulNBits" not in kinds, kinds
    for side in (found, outputs(written)):
        for ours, theirs in zip(side, expected, strict=True):
            assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()


@pytest.mark.parametrize(("bits", "block", "zeros", "bias"), PACKED)
def test_packed_products(bits: int, block: int, zeros: bool, bias: bool, tmp_path: Path) -> None:
    """MatMulNBits of every width, with blocks that fill the depth and one that does not."""
    agrees(matmul_n_bits(tmp_path, bits, block, zeros, bias), tmp_path)


@pytest.mark.parametrize(("dtype", "axis", "block", "transposed"), BLOCKED)
def test_dequantised_products(dtype: int, axis: int, block: int, transposed: bool, tmp_path: Path) -> None:
    """DequantizeLinear with blocks along either axis, on codes as they are and transposed."""
    agrees(dequantised(tmp_path, dtype, axis, block, transposed), tmp_path)
