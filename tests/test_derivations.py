"""Every step of every derivation has a check, and every formula can be shown.

That the checks hold is what `test_docs.py` sees: it runs the pages.
"""

import ast
import importlib.util
import re
import shutil

import pytest

from . import browser
from .test_docs import ROOT, blocks, run_page

PAGES = sorted((ROOT / "docs" / "derivations").glob("*.md"))
SUBJECTS = {
    *("softmax", "jacobian", "cross-entropy", "cancellation", "options", "network", "hessian"),
    *("class-parallel", "slips"),
}
STEP = re.compile(r"^## (.*)$", re.MULTILINE)
FORMULA = re.compile(r"\$\$(.*?)\$\$", re.DOTALL)


def is_check(node):
    """Whether a node of a syntax tree can fail: an assert, or a comparison of numpy.testing."""
    if isinstance(node, ast.Assert):
        return not isinstance(node.test, ast.Constant)
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr.startswith("assert_")


def unchecked(page):
    """Return the steps of a page without a check or without a formula, and formulas outside."""
    before, *parts = STEP.split(page.read_text(encoding="utf-8"))
    found = ["before the first step"] if "$$" in before else []
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        step = page.with_name("step.md")
        step.write_text(text, encoding="utf-8")
        trees = [ast.walk(ast.parse(code)) for _, code in blocks(step, "python")]
        checks = sum(is_check(node) for tree in trees for node in tree)
        if not checks or not FORMULA.search(text):
            found.append(title)
    return found


@pytest.fixture
def copied(tmp_path):
    """Return a function that copies a page to where it may be changed."""
    return lambda page: type(page)(shutil.copy(page, tmp_path))


def test_the_pages_are_there():
    assert {page.stem for page in PAGES} == SUBJECTS | {"index"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_step_is_checked(page, copied):
    assert unchecked(copied(page)) == []


@pytest.mark.parametrize(
    ("right", "wrong", "unseen"),
    [
        ("assert value == due\n", "value == due\n", []),  # another check is left
        ("assert abs(slope + sum(", "print(slope + sum(", []),
        ("## 9. What", "## 9. More\n\n$$\nE = 0\n$$\n\n## 10. What", ["9. More"]),
        ("## 1. Temp", "$$\nE = 0\n$$\n\n## 1. Temp", ["before the first step"]),
        ("$$\nE + \\zeta l^2", "$\nE + \\zeta l^2", ["7. z-loss"]),
    ],
)
def test_a_step_without_a_check_is_seen(copied, right, wrong, unseen):
    page = copied(ROOT / "docs" / "derivations" / "options.md")
    text = page.read_text(encoding="utf-8")
    assert text.count(right) == 1
    changed = text.replace(right, wrong)
    if "7. z-loss" in unseen:
        changed = changed.replace("2 \\zeta l p_k\n$$", "2 \\zeta l p_k\n$")
    page.write_text(changed, encoding="utf-8")
    assert unchecked(page) == unseen


# One wrong sign, index or factor on each page: the page must fail.
BROKEN = [
    ("softmax", "assert zero(sum(p) - 1)", "assert zero(sum(p) - K)"),
    ("jacobian", "p_i * (sp.KroneckerDelta(i, j) - p_j)", "p_i * (sp.KroneckerDelta(i, j) + p_j)"),
    ("cross-entropy", "assert zero(back - (sum(y) * p - y))", "assert zero(back - (p - y))"),
    ("cancellation", "- y[k] * rest(p)))", "+ y[k] * rest(p)))"),
    ("options", "assert zero(m.diff(u) - m1)", "assert zero(m.diff(u) + m1)"),
    ("network", "zero(gradient(E, W) - G.T * phi)", "zero(gradient(E, W) + G.T * phi)"),
    ("hessian", "- s * (sp.diag(*p) - p * p.T)", "- s * (sp.diag(*p) + p * p.T)"),
    ("class-parallel", "np.exp(top - a)", "np.exp(a - top)"),
    ("slips", "slope - (p[0] - p[0] ** 2)", "slope - (p[0] + p[0] ** 2)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "right", "wrong"), BROKEN, ids=[case[0] for case in BROKEN])
def test_a_wrong_step_is_seen(copied, name, right, wrong):
    page = copied(ROOT / "docs" / "derivations" / f"{name}.md")
    text = page.read_text(encoding="utf-8")
    assert right in text
    end = text.index("```", text.index(right))  # what comes after is not needed
    page.write_text(text[:end].replace(right, wrong) + "```\n", encoding="utf-8")
    with pytest.raises(AssertionError):
        run_page(page)


def hook():
    """Return the module that turns formulas into MathML when the pages are built."""
    spec = importlib.util.spec_from_file_location("maths", ROOT / "docs" / "_maths.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def formulas(page):
    """Return the formulas of a page as MathML, those between lines and those within one."""
    mathml = hook().mathml
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    between = [mathml(latex, "block") for latex in FORMULA.findall(text)]
    within = re.findall(r"\$([^$\n]+)\$", FORMULA.sub("", text))
    return between + [mathml(latex, "inline") for latex in within]


def test_every_formula_is_laid_out_in_a_browser(tmp_path):
    """Each has its size, numerators stand above denominators, and no LaTeX is left."""
    shown = [formula for page in PAGES for formula in formulas(page)]
    assert len(shown) > 150
    page = tmp_path / "formulas.html"
    page.write_text("".join(f"<p>{formula}</p>" for formula in shown), encoding="utf-8")
    seen = browser.ask(
        page,
        """
        const box = (element) => element.getBoundingClientRect();
        answer = {
          sizes: [...document.querySelectorAll('math')].map((m) => [box(m).width, box(m).height]),
          over: [...document.querySelectorAll('mfrac')].map(
              (f) => box(f.children[0]).bottom <= box(f.children[1]).top + 1),
          left: document.querySelectorAll('merror').length
              + (document.body.innerText.split('function')[0].match(/[\\\\$]/g) || []).length,
        };
        """,
    )
    assert len(seen["sizes"]) == len(shown)
    assert all(width > 2 and height > 5 for width, height in seen["sizes"])
    assert len(seen["over"]) > 50
    assert all(seen["over"])
    assert seen["left"] == 0


def test_a_named_function_stands_off():
    assert "<mi>log</mi><mspace" in hook().mathml("\\log p", "inline")


def test_an_unknown_command_is_an_error():
    with pytest.raises(ValueError, match=r"no MathML for \\fraction in p = \\fraction"):
        hook().mathml(r"p = \fraction{e}{S}", "block")


def test_formulas_in_a_page_become_mathml():
    text = '<p>a <span class="arithmatex">\\(p &lt; 1\\)</span> b</p>'
    shown = hook().on_page_content(text)
    assert shown.startswith('<p>a <span class="maths"><math ')
    assert "arithmatex" not in shown
    assert "&#x0003C;" in shown


def test_a_formula_that_is_left_is_an_error():
    with pytest.raises(ValueError, match="left in LaTeX"):
        hook().on_page_content('<span class="arithmatex">p</span>')
