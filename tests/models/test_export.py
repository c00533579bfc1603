"""The real models simplified and written as ONNX again: accepted by onnx.checker, and the same numbers in onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import compare
import fetch
import inputs
import onnx
import onnxruntime
import pytest
import weft_cli

MODELS = [row for row in fetch.rows() if "sizes" in row]
# Outputs of ppocrv6_det are probabilities near zero: rounding alone moves their norm by 5e-4.
NORM = {"ppocrv6_det": 1e-3}


def exported(model: Path, folder: Path, *more: str) -> Path:
    """The model after `simplify`, as ONNX."""
    out = folder / "model.onnx"
    ended = weft_cli.run("opt", model, "--pipeline", "simplify", "--emit", "onnx", "-o", out, "-q", *more, timeout=300)
    assert ended.code == 0, ended.summary()
    return out


def session(model: Path) -> onnxruntime.InferenceSession:
    """onnxruntime's session; it changes nothing about the graph."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def interface(model: Path) -> list[list[str]]:
    """The names of a model's inputs and outputs."""
    opened = session(model)
    return [[port.name for port in ports] for ports in (opened.get_inputs(), opened.get_outputs())]


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row["id"])
def test_runs_in_onnxruntime_as_before(row: dict[str, Any], tmp_path: Path) -> None:
    """Same interface, same numbers at two sizes."""
    model = fetch.fetch(row)
    out = exported(model, tmp_path)
    onnx.checker.check_model(str(out), full_check=True)
    assert interface(out) == interface(model)
    before, after = session(model), session(out)
    names = interface(model)[1]
    wrong = []
    for seed, size in enumerate(row["sizes"][:2]):
        values = inputs.make(row, size, seed)
        found, expected = after.run(names, values), before.run(names, values)
        norm = NORM.get(row["id"], compare.NORM)
        wrong += [f"{size}: {line}" for line in compare.differences(names, found, expected, norm=norm)]
    assert wrong == []


@pytest.mark.parametrize("opset", [18, 23])
def test_an_older_opset_can_be_asked_for(opset: int, tmp_path: Path) -> None:
    """What came later is written out."""
    row = fetch.row("ppocrv6_rec")
    model = fetch.fetch(row)
    out = exported(model, tmp_path, "--opset", str(opset))
    onnx.checker.check_model(str(out), full_check=True)
    assert [entry.version for entry in onnx.load(out).opset_import] == [opset]
    values = inputs.make(row, row["sizes"][1])
    names = interface(model)[1]
    assert compare.differences(names, session(out).run(names, values), session(model).run(names, values)) == []


def test_layouts_and_weights_beside(tmp_path: Path) -> None:
    """Channels stand first again, with transpositions around; weights may lie in a file of their own."""
    row = fetch.row("pplcnet_orient")
    model = fetch.fetch(row)
    out = tmp_path / "last.onnx"
    ended = weft_cli.run("opt", model, "--pipeline", "O2", "--emit", "onnx", "-o", out, "--external-data", "-q")
    assert ended.code == 0, ended.summary()
    assert (tmp_path / "last.onnx.data").stat().st_size > out.stat().st_size
    onnx.checker.check_model(str(out), full_check=True)
    values = inputs.make(row, row["sizes"][0])
    names = interface(model)[1]
    assert compare.differences(names, session(out).run(names, values), session(model).run(names, values)) == []


def test_what_the_file_said_is_kept(tmp_path: Path) -> None:
    """The producer, remarks and versions of the original."""
    model = fetch.fetch(fetch.row("minilm_l3_fp32"))
    loaded = onnx.load(model)
    loaded.model_version, loaded.doc_string = 3, "said"
    loaded.metadata_props.add(key="licence", value="a licence")
    onnx.save(loaded, tmp_path / "said.onnx")
    again = onnx.load(exported(tmp_path / "said.onnx", tmp_path))
    for field in ("producer_name", "producer_version", "model_version", "doc_string", "domain", "metadata_props"):
        assert getattr(again, field) == getattr(loaded, field), field
    assert again.graph.name == loaded.graph.name


@pytest.mark.parametrize("model", ["ppocr_cls", "silero_vad_op18", "atspm_head"])
def test_text_is_what_onnx_reads_and_writes(model: str, tmp_path: Path) -> None:
    """Our text means the same to onnx.parser as our binary form; what onnx.printer prints means the same to weft."""
    row = fetch.row(model)
    binary = exported(fetch.fetch(row), tmp_path)
    text = tmp_path / "model.onnxtxt"
    arguments = ["--pipeline", "dead-code", "--emit", "onnxtxt", "-o", text, "-q"]
    assert weft_cli.run("opt", binary, *arguments, timeout=300).code == 0
    parsed = onnx.parser.parse_model(text.read_text())
    onnx.checker.check_model(parsed, full_check=True)
    onnx.save(parsed, tmp_path / "parsed.onnx")
    values = inputs.make(row, row["sizes"][0])
    expected = session(binary).run(None, values)
    names = interface(binary)[1]
    assert compare.differences(names, session(tmp_path / "parsed.onnx").run(None, values), expected) == []
    again = tmp_path / "again.onnxtxt"
    again.write_text(onnx.printer.to_text(parsed))
    ended = weft_cli.run("opt", again, "--pipeline", "dead-code", "--emit", "onnx", "-o", tmp_path / "again.onnx", "-q")
    assert ended.code == 0, ended.summary()
    assert compare.differences(names, session(tmp_path / "again.onnx").run(None, values), expected) == []
