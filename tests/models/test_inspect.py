"""`weft inspect --html`: one page, well formed, complete, searchable; and in a browser if there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import fetch
import onnx
import pytest
import weft_cli

MODELS = ["minilm_l3_fp32", "silero_vad_op18"]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
TAG = "{http://www.w3.org/1999/xhtml}"


def paged(model: Path, folder: Path) -> Path:
    """The page about a model."""
    out = folder / "page.html"
    ended = weft_cli.run("inspect", model, "--html", "-o", out, timeout=300)
    assert ended.code == 0, ended.summary()
    return out


def results(graph: onnx.GraphProto) -> set[str]:
    """The first results of all nodes but constants, those of subgraphs included."""
    names = {node.output[0] for node in graph.node if node.op_type not in ("Constant", "Loop", "If", "Scan")}
    for node in graph.node:
        for attribute in node.attribute:
            names |= results(attribute.g) if attribute.HasField("g") else set()
    return names


@pytest.mark.parametrize("model", MODELS)
def test_the_page_is_whole(model: str, tmp_path: Path) -> None:
    """Well-formed, nothing loaded from elsewhere, every node of the file in a picture and in a list."""
    file = fetch.fetch(fetch.row(model))
    text = paged(file, tmp_path).read_text()
    page = ElementTree.fromstring(text)
    loaded = [item for item in page.iter() if {"src", "href"} & item.attrib.keys() or item.tag == f"{TAG}link"]
    assert loaded == []
    assert set(re.findall(r"https?://[^\"'\s]*", text)) == {"http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg"}
    named = [item for item in page.iter() if "data-name" in item.attrib]
    drawn = {item.attrib["data-name"] for item in named if item.tag.endswith("}g")}
    listed = {item.attrib["data-name"] for item in named if item.tag == f"{TAG}tr"}
    if model == "minilm_l3_fp32":
        names = results(onnx.load(file).graph)
        assert names - drawn == set()
        assert names - listed == set()
    assert drawn - listed == {port.attrib["data-name"] for port in named if port.attrib.get("class") in ("input", "output")} - listed
    titles = " ".join("".join(item.itertext()) for item in page.iter(f"{TAG}summary"))
    for section in ("passes", "operators", "weights", "graph, after", "graph, before", "nodes, after"):
        assert section in titles


def test_pictures_stand_alone(tmp_path: Path) -> None:
    """`--svg` and `--dot`."""
    file = fetch.fetch(fetch.row("pplcnet_orient"))
    ended = weft_cli.run("inspect", file, "--svg")
    assert ended.code == 0, ended.summary()
    picture = ElementTree.fromstring(ended.out)
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    dot = weft_cli.run("inspect", file, "--dot", "-o", tmp_path / "graph.dot")
    assert dot.code == 0
    assert (tmp_path / "graph.dot").read_text().startswith("digraph")


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
def test_search_works_in_a_browser(tmp_path: Path) -> None:
    """What follows `#` is searched for; the first hit is marked."""
    page = paged(fetch.fetch(fetch.row("minilm_l3_fp32")), tmp_path)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"]
    command = [str(BROWSER), *flags, f"{page.as_uri()}#softmax"]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    # Three layers, before and after.
    assert '<span id="found">1 of 6</span>' in dom
    assert dom.count('class="node hit now"') == 1
