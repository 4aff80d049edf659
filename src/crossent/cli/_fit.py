"""``crossent fit``: train on a table and keep the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import CallError, Kind, Missing, Model
from ._progress import progress

if TYPE_CHECKING:
    from ..data._table import Table

__all__ = ["fit"]

_HOLDOUT = 0.2


_Data = Annotated[
    str | None, typer.Argument(metavar="DATA", help="A table; - is CSV on standard input.")
]
_Target = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="The column that holds the classes.")
]
_Model = Annotated[Model, typer.Option(help="Softmax regression or an RBF network.")]
_Kind = Annotated[Kind | None, typer.Option(help="The RBF network's features.")]
_Centers = Annotated[int | None, typer.Option(min=1, help="How many, of the RBF network.")]
_Holdout = Annotated[
    float | None,
    typer.Option(help=f"Share of rows held out to report on; 0: none. [default: {_HOLDOUT}]"),
]
_Test = Annotated[
    str | None, typer.Option(metavar="FILE", help="Report on this table; nothing is held out.")
]
_Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="MODEL",
        help="The model file. [default: DATA's name, ending in .safetensors, in the current"
        " folder]",
    ),
]
_Missing = Annotated[
    Missing, typer.Option(help="Rows with missing values: refuse, leave out or fill.")
]
_Ignore = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN", help="Leave a column out; repeatable.")
]
_C = Annotated[float | None, typer.Option("--c", help="Inverse strength of the penalty, C.")]
_MaxIter = Annotated[int | None, typer.Option(min=1, help="Most iterations.")]
_Seed = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Of the rows held out and the centers.")
]
_Demo = Annotated[bool, typer.Option("--demo", help="Train an RBF network on digits.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def fit(
    data: _Data = None,
    target: _Target = None,
    model: _Model = Model.softmax,
    kind: _Kind = None,
    centers: _Centers = None,
    holdout: _Holdout = None,
    test: _Test = None,
    output: _Output = None,
    missing: _Missing = Missing.error,
    ignore: _Ignore = None,
    c: _C = None,
    max_iter: _MaxIter = None,
    seed: _Seed = 0,
    demo: _Demo = False,
    as_json: _Json = False,
) -> None:
    """Train on the table DATA, report on rows held out, and keep a model of all rows."""
    from ..report._text import print_fit
    from ._training import Network, Task, fit_table

    if demo:
        model = Model.rbf
    _check_sources(data, target, test, demo)
    _check_numbers(holdout, test, c)
    if model is Model.softmax and (kind or centers):
        raise CallError("--kind and --centers belong to an RBF network: --model rbf")
    share = (0.0 if test else _HOLDOUT) if holdout is None else holdout
    path = _model_path(output, data, test)
    network = Network(model, kind, centers, c, max_iter, seed)
    table, target = _table(data, target)
    task = Task(network, table, target, str(missing), tuple(ignore or ()), share, test, path)
    report = fit_table(task)
    if as_json:
        typer.echo(report.to_json())
    else:
        print_fit(report)


def _check_sources(data: str | None, target: str | None, test: str | None, demo: bool) -> None:
    if demo:
        if data is not None or target is not None or test is not None:
            raise CallError("--demo brings its own data: leave out DATA, --target, --test")
        return
    if data is None:
        raise CallError("DATA is missing: name a table, - for standard input, or --demo")
    if target is None:
        raise CallError("--target is missing: name the column that holds the classes")
    if data == test == "-":
        raise CallError("DATA and --test cannot both be standard input")


def _check_numbers(holdout: float | None, test: str | None, c: float | None) -> None:
    if holdout is not None and not 0.0 <= holdout < 1.0:
        raise CallError(f"--holdout is a share of the rows, 0 <= share < 1; got {holdout}")
    if holdout and test is not None:
        raise CallError("--holdout and --test exclude each other: one of them reports")
    if c is not None and not c > 0.0:
        raise CallError(f"--c must be positive (inf for no penalty); got {c}")


def _model_path(output: str | None, data: str | None, test: str | None) -> Path | None:
    """Check where the model goes; the demo's is kept only where that is said."""
    from ._targets import model_file

    if data is None and output is None:
        return None
    return model_file(output, data or "", [name for name in (data, test) if name])


def _table(data: str | None, target: str | None) -> tuple[Table, str]:
    """Read the table, or make the demo's: scikit-learn's digits, 8 x 8 pixels each."""
    from ..data._table import Table
    from ..data._tables import read_table

    if data is not None and target is not None:
        with progress(f"reading {data}"):
            return read_table(data, text={target}), target
    import pyarrow as pa
    from sklearn.datasets import load_digits

    inputs, digits = load_digits(return_X_y=True)
    columns = {f"pixel_{i // 8}_{i % 8}": inputs[:, i] for i in range(64)}
    return Table("scikit-learn's digits", pa.table({**columns, "digit": digits})), "digit"
