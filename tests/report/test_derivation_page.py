"""The page of a derivation: whole in itself, and looked at in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from crossent.report import derive
from crossent.report._derivation_html import derivation_html
from tests import browser

WIDTH = 1000

LOOK = """
const colour = (cell) => getComputedStyle(cell).backgroundColor;
const box = (element) => element.getBoundingClientRect();
answer = {
  maths: [...document.querySelectorAll('math')].map((m) => [box(m).width, box(m).height]),
  fractions: [...document.querySelectorAll('mfrac')].map(
      (f) => box(f.children[0]).bottom <= box(f.children[1]).top + 1),
  diagonal: [...document.querySelectorAll('.heat tbody tr')].map((r, i) => colour(r.cells[i + 1])),
  corner: colour(document.querySelector('.heat tbody tr').cells[2]),
  bars: [...document.querySelectorAll('#gradient .bar div')].map((b) => box(b).width),
  wide: document.documentElement.scrollWidth,
  loaded: performance.getEntriesByType('resource').length,
};
"""


def page_of(folder: Path, *args: object, **options: object) -> Path:
    path = folder / "derivation.html"
    path.write_text(derivation_html(derive(*args, **options)), encoding="utf-8")
    return path


def rgba(text: str) -> list[float]:
    return [float(part) for part in re.findall(r"[\d.]+", text)]


def test_in_a_browser(tmp_path: Path) -> None:
    page = page_of(tmp_path, [1.0, 2.0, 3.0], label=2)
    seen = browser.ask(page, LOOK, width=WIDTH)
    assert len(seen["maths"]) == 13
    assert all(width > 5 and height > 8 for width, height in seen["maths"])
    assert seen["fractions"]
    assert all(seen["fractions"])  # numerators stand above denominators
    warm = [rgba(colour) for colour in seen["diagonal"]]
    assert all(red > blue for red, _, blue, *_ in warm)
    strengths = [colour[3] for colour in warm]  # p (1 - p) grows with p up to here
    assert strengths == sorted(strengths)
    assert strengths[0] < strengths[-1]
    cold = rgba(seen["corner"])
    assert cold[2] > cold[0]
    p0, p1, p2 = 0.0900306, 0.2447285, 0.6652410 - 1
    bars = np.array(seen["bars"])
    np.testing.assert_allclose(bars / bars.max(), np.abs([p0, p1, p2]) / abs(p2), atol=0.01)
    assert seen["wide"] <= WIDTH
    assert seen["loaded"] == 0


def test_it_is_drawn(tmp_path: Path) -> None:
    """The heat map's colours reach the screen: warm on the diagonal, cold off it."""
    shown = browser.picture(page_of(tmp_path, [1.0, 2.0, 3.0], label=2), width=WIDTH)
    red, blue = shown[..., 0], shown[..., 2]
    assert np.count_nonzero(red > blue + 0.2) > 2000
    assert np.count_nonzero(blue > red + 0.2) > 2000


@pytest.mark.parametrize("width", [400, 1000])
def test_ten_classes_fit_the_window(tmp_path: Path, width: int) -> None:
    page = page_of(tmp_path, [1e-7 * 3.0**k for k in range(10)], targets=[0.1] * 10, smoothing=0.1)
    seen = browser.ask(page, LOOK, width=width)
    assert seen["wide"] <= max(width, 500)  # the browser's own least width
    assert len(seen["diagonal"]) == 10


def test_nothing_is_loaded_and_nothing_is_markup() -> None:
    text = derivation_html(derive([1.0, -3.0], targets=[0.5, 2.0], temperature=3.0, smoothing=0.2))
    assert re.findall(r"(?:src|href)=|url\(|@import|<script", text) == []
    assert "temperature 3.0" in text
    assert "smoothing 0.2" in text
    assert "{{" not in text


def test_numbers_beyond_double_precision() -> None:
    text = derivation_html(derive([2000.0, 0.0, 1.0], label=1))
    assert "e-869" in text
    assert "nan" in text
