"""What the README and the pages show is so: their code runs, their commands and links exist."""

import doctest
import importlib
import pathlib
import re
import shlex
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: pathlib.Path, *languages: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a page as (language, text), in order."""
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [(language, text) for language, text in found if language in languages]


def run_page(page: pathlib.Path) -> str:
    """Return what a page's Python gave instead of what the page says, run from top to bottom."""
    names: dict[str, object] = {}
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for number, (language, text) in enumerate(blocks(page, "python", "pycon")):
        where = f"{page.name}, block {number}"
        if language == "python":
            exec(compile(text, where, "exec"), names)
        else:
            session = doctest.DocTestParser().get_doctest(text, names, where, page.name, 0)
            runner.run(session, out=report.append, clear_globs=False)
            names.update(session.globs)
    return "".join(report)


def shell_lines(page: pathlib.Path) -> list[list[str]]:
    """Return the commands of a page's shell blocks, split into words, without their comments."""
    lines = [
        line for _, text in blocks(page, "sh", "bash", "console") for line in text.splitlines()
    ]
    return [words for line in lines if (words := shlex.split(line.removeprefix("$ "), True))]


def commands(program: str) -> list[list[str]]:
    """Return every call of one program on any page, each once, without the program's name."""
    calls = {
        tuple(words[1:]) for page in PAGES for words in shell_lines(page) if words[0] == program
    }
    return [list(call) for call in sorted(calls)]


with_python = [page for page in PAGES if blocks(page, "python", "pycon")]


@pytest.mark.parametrize("page", with_python, ids=lambda page: page.stem)
def test_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_page(page) == ""


def test_a_wrong_page_is_seen(tmp_path):
    page = tmp_path / "wrong.md"
    page.write_text("```python\nx = 1\n```\n\n```pycon\n>>> x + 1\n3\n\n```\n")
    assert "Got:\n    2" in run_page(page)


def test_make_targets_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for call in commands("make") for word in call if "=" not in word}
    assert named
    assert named <= targets


def test_extras_exist():
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = {
        extra
        for call in commands("pip")
        for extras in re.findall(r"\.\[(.*?)\]", " ".join(call))
        for extra in extras.split(",")
    }
    assert named
    assert named <= set(described["project"]["optional-dependencies"])


def parse(call: list[str]) -> None:
    """Parse a command line of crossent as it would be run, and run nothing."""
    typer = pytest.importorskip("typer")
    from crossent.cli._app import app

    group = typer.main.get_command(app)
    name, command, arguments = group.resolve_command(typer.Context(group), call)
    command.make_context(name, arguments)


@pytest.mark.parametrize("call", commands("crossent"), ids=" ".join)
def test_command_lines_parse(call):
    parse(call)


@pytest.mark.parametrize("call", [["fti", "t.csv"], ["fit", "t.csv", "--no-such-option"]])
def test_a_wrong_command_line_is_seen(call):
    with pytest.raises(Exception, match="No such"):
        parse(call)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


PATH = re.compile(r"[a-z_.][\w.-]*/[\w./-]*|[\w.-]+\.(?:cpp|h|md|py|toml|txt|yml)")
HOMES = (ROOT, ROOT / "src", ROOT / "src" / "crossent")
BUILT = tuple(line for line in (ROOT / ".gitignore").read_text().split() if line.endswith("/"))


def named_paths(text: str) -> list[str]:
    """Return what is written in backticks, outside of blocks, and looks like a path of ours."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    words = [word for span in re.findall(r"`([^`\n]+)`", prose) for word in span.split()]
    return [w for w in words if PATH.fullmatch(w) and not w.startswith(BUILT)]


def missing_paths(text: str) -> list[str]:
    """Return the paths of a page that are neither in the repository nor in the package."""
    return [p for p in named_paths(text) if not any((home / p).exists() for home in HOMES)]


# What the changelog names may be gone since.
described = [page for page in PAGES if page.name != "CHANGELOG.md"]


@pytest.mark.parametrize("page", described, ids=lambda page: page.stem)
def test_paths_in_backticks_exist(page):
    assert missing_paths(page.read_text(encoding="utf-8")) == []


def test_paths_are_found():
    named = {p for page in described for p in named_paths(page.read_text(encoding="utf-8"))}
    assert {"src/native/", "_arguments/", "pyproject.toml", ".ci/run"} <= named


def test_a_path_that_is_not_there_is_seen():
    text = "See `_arguments.py`, `_kernels/_numpy.py`, `bash .ci/walk`, `src/native/`, `README.md`."
    text += " Neither `N/A`, `site/`, `t.csv` nor `cross_entropy` is a path of ours.\n"
    text += "```sh\ncat no/such/file.py `no/such.py`\n```\n"
    assert missing_paths(text) == ["_arguments.py", "_kernels/_numpy.py", ".ci/walk"]


SHOWN = {
    name
    for page in (ROOT / "docs" / "api").glob("*.md")
    for name in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.MULTILINE)
}
OPEN = [
    "crossent",
    *("crossent.bench", "crossent.boosting", "crossent.metrics", "crossent.report"),
    *("crossent.torch", "crossent.torch.nn", "crossent.verify"),
]


@pytest.mark.parametrize("name", OPEN)
def test_every_public_name_is_in_the_reference(name):
    if name.startswith("crossent.torch"):
        pytest.importorskip("torch")
    public = set(importlib.import_module(name).__all__) - {"__version__"}
    assert {f"{name}.{each}" for each in public} <= SHOWN


def test_no_open_module_is_forgotten():
    package = ROOT / "src" / "crossent"
    found = {p.stem for p in package.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    inner = {
        "cli",
        "curved_objective",
        "data",
        "estimators",
        "features",
        "objective",
        "ops",
        "sampled_objective",
        "solvers",
    }
    shown = {name.split(".")[1] for name in OPEN if "." in name}
    assert {name for name in found if not name.startswith("_")} - inner == shown
