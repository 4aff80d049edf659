"""Columns of a table as arrays: numbers with NaN where a value is missing, labels 0, 1, ..."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._typing import Array, Labels
from ._table import ColumnError, Table, TableError
from ._text_tables import MISSING

__all__ = ["class_values", "column", "column_labels", "match_labels", "number_matrix"]

_WHOLE = re.compile(r"(-?(?:0|[1-9]\d{0,17}))(?:\.0*)?")
_GROUPED = re.compile(r"[+-]?(?:\d*,\d+|\d{1,3}(?:[,.' \u00a0\u202f]\d{3})+(?:[.,]\d+)?)")
_MANY = 50  # names in an error text


def column(table: Table, name: str) -> pa.ChunkedArray:
    """Find the one column of that name.

    Raises
    ------
    ColumnError
        If there is none: the text lists the columns and suggests the nearest.
    TableError
        If there are several.
    """
    found = table.columns.schema.get_all_field_indices(name)
    if len(found) == 1:
        return table.columns.column(found[0])
    if found:
        places = _listed([str(index + 1) for index in found])
        raise TableError(
            f"{table.name}: the name {name!r} stands over {len(found)} columns ({places}):"
            " give each column a name of its own"
        )
    names = table.column_names
    lower = {other.lower(): other for other in names}
    near = get_close_matches(name.lower(), lower, n=1)
    hint = f" (did you mean {lower[near[0]]!r}?)" if near else ""
    if not near and any(_is_number(other) for other in names):
        hint = " (is its first line the header with their names?)"
    listed = _listed([repr(other) for other in names])
    raise ColumnError(f"{table.name} has no column {name!r}{hint}; its columns are {listed}")


def number_matrix(table: Table, names: Sequence[str]) -> Array:
    """Gather the named columns in a float64 matrix.

    Numbers of any type, true and false (1 and 0), and text that spells numbers are accepted.

    Parameters
    ----------
    table : Table
        N rows.
    names : sequence of str
        D columns.

    Returns
    -------
    ndarray, shape (N, D)
        C-contiguous; NaN where a value is missing.

    Raises
    ------
    TableError
        If a column holds text, dates or the like, or an infinite number: the text names the
        column, the first row at fault (counted from 1, without the header) and its value.

    Examples
    --------
    >>> table = Table("t", pa.table({"a": [1, None], "b": [True, False]}))
    >>> number_matrix(table, ["b", "a"])
    array([[ 1.,  1.],
           [ 0., nan]])
    """
    matrix = np.empty((table.n_rows, len(names)))
    faults: dict[str, str] = {}
    for index, name in enumerate(names):
        values, fault = _numbers(column(table, name))
        if fault:
            faults[name] = fault
        else:
            matrix[:, index] = values
    if faults:
        first, *others = faults
        also = (
            f" (not numbers either: {_listed([repr(name) for name in others])})" if others else ""
        )
        raise TableError(
            f"{table.name}: column {first!r} {faults[first]}{also};"
            " correct it, or fit without the column (--ignore)"
        )
    return matrix


def column_labels(values: pa.ChunkedArray, name: str) -> tuple[Labels, list[str]]:
    """Number the class names of a column, and tell how each is spelled.

    Parameters
    ----------
    values : pyarrow.ChunkedArray
        Text, integers, whole floating-point numbers, true and false.
    name : str
        The column's name, for errors.

    Returns
    -------
    labels : ndarray of int64, shape (N,)
        Places in ``spellings``; -1 where the name is missing.
    spellings : list of str
        In order of appearance.

    Raises
    ------
    ColumnError
        If the column is nested or holds numbers that are not whole.

    Examples
    --------
    >>> column_labels(pa.chunked_array([["b", None, "a", "b"]]), "class")
    (array([ 0, -1,  1,  0]), ['b', 'a'])
    """
    values = _decoded(values)
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        raise ColumnError(f"column {name!r} holds {values.type}, which cannot be labels")
    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        numbers = values.cast(pa.float64(), safe=False)
        is_nan = pc.call_function("is_nan", [numbers])
        values = pc.call_function("if_else", [is_nan, pa.scalar(None, values.type), values])
    encoded = values.combine_chunks().dictionary_encode()
    spelled = [str(value).strip() for value in encoded.dictionary.cast(pa.string()).to_pylist()]
    places: dict[str, int] = {}
    renumber = np.array(
        [-1 if s in MISSING else places.setdefault(s, len(places)) for s in spelled] + [-1]
    )
    indices = encoded.indices.fill_null(len(spelled)).to_numpy(zero_copy_only=False)
    return renumber[indices].astype(np.int64), list(places)


def class_values(spellings: Sequence[str], name: str) -> Array:
    """Turn spelled labels into values: int64 where all are whole numbers, text otherwise.

    Raises
    ------
    ColumnError
        If they are numbers, but not all whole: that is a quantity, not a class.

    Examples
    --------
    >>> class_values(["3", "1"], "class"), class_values(["007", "1"], "class")
    (array([3, 1]), array(['007', '1'], dtype='<U3'))
    """
    whole = [_WHOLE.fullmatch(spelling) for spelling in spellings]
    if whole and all(whole):
        return np.array([int(match[1]) for match in whole if match], dtype=np.int64)
    for spelling in spellings:
        if not _is_number(spelling):
            break
        if not float(spelling).is_integer():
            if all(_is_number(other) for other in spellings):
                raise ColumnError(
                    f"column {name!r} holds numbers that are not whole, such as {spelling}:"
                    " classes are text or whole numbers"
                )
            break
    return np.array(spellings, dtype=str)


def match_labels(
    labels: Labels, spellings: Sequence[str], classes: Array, name: str, table: str = ""
) -> Labels:
    """Turn places in ``spellings`` into places in a model's classes; -1 stays -1.

    Raises
    ------
    TableError
        If a label is none of the classes: the text names the first row that holds it.

    Examples
    --------
    >>> match_labels(np.array([0, 1, -1]), ["2", "1.0"], np.array([1, 2]), "class")
    array([ 1,  0, -1])
    """
    places = {str(value): place for place, value in enumerate(classes.tolist())}
    if {name.lower() for name in places} == {"true", "false"}:  # True, TRUE or true, as written
        places = {name.lower(): place for name, place in places.items()}
        spellings = [spelling.lower() for spelling in spellings]
    is_whole = np.issubdtype(classes.dtype, np.integer)
    found = []
    for label, spelling in enumerate(spellings):
        whole = _WHOLE.fullmatch(spelling) if is_whole else None
        place = places.get(str(int(whole[1])) if whole else spelling)
        if place is None:
            row = int(np.flatnonzero(labels == label)[0]) + 1
            raise TableError(
                f"{table + ': ' if table else ''}column {name!r} holds {spelling!r} in row {row},"
                " which is no class of the model;"
                f" it knows {_listed([repr(value) for value in classes.tolist()])}"
            )
        found.append(place)
    return np.array([*found, -1], dtype=np.int64)[labels]


# ---------------------------------------------------------------- one column of numbers


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _decoded(values.cast(kind.value_type))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    return values


def _numbers(values: pa.ChunkedArray) -> tuple[Array | None, str]:
    """Convert to float64 with NaN for missing, or tell what stands against it."""
    values = _decoded(values)
    kind = values.type
    if pa.types.is_null(kind):
        return np.full(len(values), np.nan), ""
    if pa.types.is_boolean(kind):
        values = values.cast(pa.uint8())
    elif pa.types.is_string(kind):
        try:
            values = pc.call_function("utf8_trim_whitespace", [values]).cast(pa.float64())
        except pa.ArrowInvalid:
            return None, _text_fault(values)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        what = "dates or times" if pa.types.is_temporal(kind) else f"{kind} values"
        return None, f"holds {what}{_first_value(values)}"
    numbers = values.cast(pa.float64(), safe=False).to_numpy()
    infinite = np.flatnonzero(np.isinf(numbers))
    if infinite.size:
        return None, f"holds an infinite number in row {infinite[0] + 1}"
    return numbers, ""


def _text_fault(values: pa.ChunkedArray) -> str:
    for row, value in enumerate(values.to_pylist(), start=1):
        if value is None or value.strip() in MISSING or _is_number(value.strip()):
            continue
        fault = f"holds text: row {row} is {_short(value)}"
        if _GROUPED.fullmatch(value.strip()):
            fault += ", a number with thousands separators or a decimal comma (write 1234.5)"
        return fault
    return "holds text beside numbers: some of its missing values are spelled out"


def _first_value(values: pa.ChunkedArray) -> str:
    present = np.flatnonzero(values.is_valid().to_numpy())
    if not present.size:
        return ""
    row = int(present[0])
    return f": row {row + 1} is {_short(str(values[row].as_py()))}"


def _is_number(text: str) -> bool:
    if "_" in text:  # Python's own digit separator, a number nowhere else
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _short(value: str, limit: int = 40) -> str:
    return repr(value if len(value) <= limit else value[: limit - 1] + "…")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return ", ".join(names[:_MANY]) + more
