"""Tables from files and into files: every format, every mess one comes in, every error text."""

from __future__ import annotations

import gzip
import io
import os
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from crossent.data import _text_tables
from crossent.data._table import TableError
from crossent.data._table_writing import check_writable, whole_file, write_table
from crossent.data._tables import read_table

PLAIN = {"x": [1.5, -2.0], "n": [3, 4], "class": ["a", "b"]}


def write(folder: Path, content: bytes | str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content", "notes"),
    [
        ("plain.csv", b"x,n,class\n1.5,3,a\n-2,4,b\n", 0),
        ("crlf.csv", b"x,n,class\r\n1.5,3,a\r\n-2,4,b\r\n", 0),
        ("bom.csv", b"\xef\xbb\xbfx,n,class\n1.5,3,a\n-2,4,b\n", 0),
        ("utf16.csv", "x,n,class\n1.5,3,a\n-2,4,b\n".encode("utf-16"), 0),
        ("no-last-newline.csv", b"x,n,class\n1.5,3,a\n-2,4,b", 0),
        ("blank-lines.csv", b"\n\nx,n,class\n1.5,3,a\n\n-2,4,b\n\n", 0),
        ("quoted.csv", b'"x","n","class"\n"1.5","3","a"\n"-2","4","b"\n', 0),
        ("spaces.csv", b" x, n ,class\n 1.5, 3,a\n-2 ,4,b\n", 0),
        ("tabs.tsv", b"x\tn\tclass\n1.5\t3\ta\n-2\t4\tb\n", 0),
        ("tabs.txt", b"x\tn\tclass\n1.5\t3\ta\n-2\t4\tb\n", 1),
        ("semicolons.csv", b"x;n;class\n1.5;3;a\n-2;4;b\n", 1),
        ("decimal-commas.csv", b"x;n;class\n1,5;3;a\n-2;4;b\n", 2),
        ("bars.csv", b"x|n|class\n1.5|3|a\n-2|4|b\n", 1),
    ],
)
def test_text_tables(tmp_path: Path, name: str, content: bytes, notes: int) -> None:
    table = read_table(write(tmp_path, content, name))
    assert table.columns.to_pydict() == PLAIN
    assert len(table.notes) == notes
    assert table.n_rows == 2


@pytest.mark.parametrize(
    "suffix",
    [*(".csv", ".tsv", ".csv.gz", ".tab.zst"), *(".parquet", ".feather", ".arrow", ".arrows")],
)
def test_written_tables_are_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    columns = pa.table({**PLAIN, 'odd "name", it is': ['a,"b"\n\tc', None]})
    write_table(columns, path)
    table = read_table(path, text={'odd "name", it is'}).columns
    assert table.select(list(PLAIN)).to_pydict() == PLAIN
    assert table.column(3).to_pylist()[0] == 'a,"b"\n\tc'
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_compressed_text(tmp_path: Path) -> None:
    content = b"x,n,class\n1.5,3,a\n-2.0,4,b\n"
    path = write(tmp_path, gzip.compress(content), "t.csv.gz")
    assert read_table(path).columns.to_pydict() == PLAIN
    write_table(read_table(path).columns, path)
    assert gzip.decompress(path.read_bytes()) == content.replace(b".0", b"")


def test_standard_input_is_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(b"x,n,class\n1.5,3,a\n-2,4,b\n"))
    monkeypatch.setattr(sys, "stdin", stream)
    table = read_table("-")
    assert (table.name, table.columns.to_pydict()) == ("standard input", PLAIN)


def test_text_columns_stay_as_they_are_spelled(tmp_path: Path) -> None:
    path = write(tmp_path, "x, id \n1,007\n2,1.0\n")
    assert read_table(path, text={"id"}).columns.column("id").to_pylist() == ["007", "1.0"]
    assert read_table(path).columns.column("id").to_pylist() == [7, 1]


def test_a_type_is_that_of_the_whole_column(tmp_path: Path) -> None:
    """The first block holds whole numbers only; what follows must not fail or be cut off."""
    rows = "1\n" * 5_000_000 + "2.5\n"
    values = read_table(write(tmp_path, "x\n" + rows)).columns.column("x")
    assert values[-1].as_py() == 2.5


def test_values_may_hold_line_ends_and_be_long(tmp_path: Path) -> None:
    """Blocks of the file must not end inside of them."""
    values = ["\n" * 1000] * 10_000 + ["x" * 5_000_000]
    text = "n,text\n" + "".join(f'{n},"{value}"\n' for n, value in enumerate(values))
    columns = read_table(write(tmp_path, text), text={"text"}).columns
    assert columns.column("n").to_pylist() == list(range(len(values)))
    assert columns.column("text").to_pylist() == values


READ_ERRORS = [
    ("t.csv", b"", "t.csv is empty: expected a header line with the names of the columns"),
    ("t.csv", b"\n\r\n", "t.csv is empty"),
    ("t.csv", b"a,b\n", "t.csv has a header but no rows"),
    (
        "t.csv",
        b"a,b\n1,2\n1,2,3\n",
        "row 2 is not as long as the header: expected 2 values, got 3 (s",
    ),
    ("t.csv", b"a,b\n1,2\n3\n", "row 2 is not as long as the header: expected 2 values, got 1 (s"),
    ("t.csv", b"a,b\n1,\xe9\n", "column 'b' is not UTF-8 text; save the file as UTF-8"),
    ("t.csv", b"a,\xe9\n1,2\n", "the header is not UTF-8 text; save the file as UTF-8"),
    ("t.csv", b"PK\x00\x01,x\n1,2\n", "t.csv is not a text file: it holds zero bytes"),
    ("t.csv", b'a,"b\n1,2\n', "t.csv cannot be read as text: "),
    ("t.csv.gz", b"a,b\n1,2\n", "t.csv.gz is not compressed as its suffix says, or was cut off; w"),
    (
        "t.csv.gz",
        gzip.compress(b"a,b\n" + b"1,2\n" * 9, mtime=0)[:-9],
        "t.csv.gz is not compressed as its",
    ),
    ("t.parquet", b"a,b\n1,2\n", "cannot be read as .parquet: it is not a Parquet file, or was"),
    ("t.parquet", b"", "t.parquet cannot be read as .parquet: it is not a Parquet file, or was"),
    ("t.feather", b"a,b\n1,2\n", "cannot be read as .feather: it is not an Arrow or Feather file"),
    ("t.arrow", b"", "t.arrow cannot be read as .arrow: it is not an Arrow or Feather file, or"),
    ("t.xlsx", b"PK", "told by its suffix; expected .csv, .tsv, .txt, .parquet, .feather or .arr"),
    ("table", b"a\n1\n", "expected .csv, .tsv, .txt, .parquet, .feather or .arrow, got none"),
]


@pytest.mark.parametrize(("name", "content", "text"), READ_ERRORS)
def test_read_errors(tmp_path: Path, name: str, content: bytes, text: str) -> None:
    with pytest.raises(TableError) as caught:
        read_table(write(tmp_path, content, name))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"none\.csv: no such file"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(TableError, match="is a folder: expected a file"):
        read_table(tmp_path / "folder.csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".arrow"])
def test_devices_and_pipes_are_neither_read_nor_replaced(tmp_path: Path, suffix: str) -> None:
    """They would never end, or would be gone."""
    pipe, device = tmp_path / f"pipe{suffix}", tmp_path / f"device{suffix}"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path in (pipe, device):
        with pytest.raises(TableError, match=r"is a device or a pipe: expected a file \(- reads"):
            read_table(path)
        with pytest.raises(TableError, match="is a device or a pipe: expected the name of a file"):
            check_writable(path)


@pytest.mark.parametrize("header", ['"a,b', 'a,"b', '"a'])
def test_a_quote_that_is_never_closed(tmp_path: Path, header: str) -> None:
    with pytest.raises(TableError) as caught:
        read_table(write(tmp_path, header + "\n" + "1,2\n" * 40_000))
    assert str(caught.value) == (
        f"{tmp_path / 't.csv'}: the header holds a name of more than 131072 characters (separated"
        " by ','); is a quote opened there and never closed?"
    )


def test_a_label_whose_quote_is_never_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows below it would be gone, unsaid."""
    rows = ["1,a", '2,"b', "3,a", "4,b"]
    for end in ("", "\n"):
        path = write(tmp_path, "x,class\n" + "\n".join(rows) + end)
        with pytest.raises(TableError, match="'class' holds 'b' in row 2 and the rows below"):
            read_table(path, text={"class"})
    monkeypatch.setattr(_text_tables, "_BLOCK_BYTES", 1 << 20)
    path = write(tmp_path, "x,class\n" + "\n".join(rows + rows[2:] * 400_000))
    with pytest.raises(TableError, match="a row is longer than 1 MiB; is a quote opened there"):
        read_table(path, text={"class"})
    path = write(tmp_path, 'x,n,class\n1,2,"a, of\ntwo lines"\n')
    assert read_table(path, text={"class"}).columns.column(2).to_pylist() == ["a, of\ntwo lines"]


def test_a_header_longer_than_a_field_may_be(tmp_path: Path) -> None:
    """Not a fault where it is many names: then only another separator sees one long name."""
    names = [f"column_{i}" for i in range(20_000)]
    for mark, notes in ((",", 0), (";", 1)):
        text = mark.join(names) + "\n" + mark.join("1" * len(names)) + "\n"
        table = read_table(write(tmp_path, text))
        assert table.column_names == names
        assert len(table.notes) == notes


def test_labels_that_are_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"column 'class' is not UTF-8 text; save the file as"):
        read_table(write(tmp_path, b"a,class\n1,\xe9\n"), text={"class"})


def test_a_broken_parquet_header_without_columns(tmp_path: Path) -> None:
    write_table(pa.table({}), tmp_path / "t.parquet")
    with pytest.raises(TableError, match="has no columns"):
        read_table(tmp_path / "t.parquet")


# ---------------------------------------------------------------- writing


def test_a_failed_write_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = write(tmp_path, "old")

    def fail(beside: Path) -> None:
        beside.write_text("half of the new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), whole_file(path) as beside:
        fail(beside)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]


def test_a_file_keeps_its_mode_and_a_link_stays_a_link(tmp_path: Path) -> None:
    path = write(tmp_path, "old")
    path.chmod(0o640)
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    write_table(pa.table({"x": [1]}), link)
    assert link.is_symlink()
    assert path.read_text() == "x\n1\n"
    assert path.stat().st_mode & 0o777 == 0o640
    write_table(pa.table({"x": [1]}), tmp_path / "new.csv")
    plain = write(tmp_path, "", "plain")
    assert (tmp_path / "new.csv").stat().st_mode == plain.stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_a_new_file_has_the_mode_of_new_files_and_the_umask_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The umask belongs to the whole process: to read it is to change it for other threads."""
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
            write_table(pa.table({"x": [1]}), tmp_path / "new.csv")
    finally:
        os.umask(before)
    assert (tmp_path / "new.csv").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_what_replaces_a_private_file_is_private_from_the_start(tmp_path: Path) -> None:
    path = write(tmp_path, "old")
    path.chmod(0o600)
    with whole_file(path) as beside:
        assert beside.stat().st_mode & 0o777 == 0o600
        assert beside.suffix == ".csv"


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there is no folder"):
        check_writable(tmp_path / "none" / "t.csv")
    with pytest.raises(TableError, match="is a folder: expected the name of a file to write"):
        check_writable(tmp_path)


def test_a_read_only_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "x\n1\n")
    monkeypatch.setattr(os, "access", lambda place, mode: place != path)  # root may do anything
    with pytest.raises(TableError, match=r"t\.csv is read-only: name another file, or make it"):
        check_writable(path)


def test_an_error_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    """Not the one that is written beside it."""
    for path, kind in (
        (tmp_path / "none" / "t.csv", FileNotFoundError),
        (tmp_path, IsADirectoryError),
    ):
        with pytest.raises(kind) as caught, whole_file(path):
            pass
        assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []
