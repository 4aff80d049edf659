"""The figures: each can be drawn again, lies where the pages look, and is shown on one."""

import importlib.util
import xml.etree.ElementTree as ET

import pytest

from .test_docs import PAGES, ROOT

FOLDER = ROOT / "docs" / "figures"


def load():
    """Return the program that draws them."""
    spec = importlib.util.spec_from_file_location("draw", FOLDER / "draw.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def texts(path):
    """Return what is written in a figure."""
    return {"".join(e.itertext()).strip() for e in ET.parse(path).iter() if e.tag.endswith("text")}


def test_all_are_drawn_and_kept(tmp_path):
    draw = load()
    draw.main(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == set(draw.FIGURES)
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(draw.FIGURES)
    assert {"undecided: every logit is felt", "0.235"} <= texts(tmp_path / "jacobian.svg")
    assert {"crossent", "torch", "SciPy"} <= texts(tmp_path / "error.svg")


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.svg")))
def test_each_is_shown(name):
    assert any(f"figures/{name})" in page.read_text(encoding="utf-8") for page in PAGES)


def test_the_measured_ones_are_from_the_tables():
    draw = load()
    axis = draw.error().axes[0]
    lines = {line.get_label(): line for line in axis.get_lines()}
    own = draw.rows(
        "accuracy.csv",
        operation="softmax",
        dtype="float32",
        data="normal(0, 3)",
        implementation="crossent avx512",
    )
    assert sorted(lines["crossent"].get_ydata()) == sorted(float(row["ulp"]) for row in own)
