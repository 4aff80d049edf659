"""The table of cases, as data: which logits, in which dtypes, laid out how, with which options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._typing import Array

Rows = Callable[[np.random.Generator], Array]

SIXTEEN = ("float16", "bfloat16")
FLOATS = (*SIXTEEN, "float32", "float64")
WIDE = ("bfloat16", "float32", "float64")
BIG = ("float32", "float64")
INTEGERS = ("int8", "uint8", "int64", "bool")
MANY_CLASSES = 100_003


@dataclass(frozen=True, eq=False)
class Case:
    """One row of the table.

    `rows` makes the logits (M, K); the caller sees them as `batch` rows with the classes at `axis`,
    in memory as `layout` says. `where` makes the class mask (M, K). `options` are passed on.
    """

    name: str
    rows: Rows
    dtypes: tuple[str, ...] = FLOATS
    batch: tuple[int, ...] | None = None
    axis: int = -1
    layout: str = "C"
    where: Callable[[Array], Array] | None = None
    target: str = "labels"
    options: Mapping[str, Any] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()


def normal(m: int, k: int, scale: float = 3.0, center: float = 0.0) -> Rows:
    """Normal logits."""
    return lambda rng: center + scale * rng.standard_normal((m, k))


def given(*rows: list[float]) -> Rows:
    """These very rows."""
    return lambda rng: np.array(rows, np.float64)


def palette(k: int) -> Rows:
    """One row of many classes with few distinct values, so that the truth is soon summed."""
    return lambda rng: np.round(3 * rng.standard_normal((1, k)) * 16) / 16


def sliding(low: float, high: float, k: int) -> Rows:
    """A dominant 0 and logits spread evenly over a range of negative numbers."""
    return lambda rng: np.append(0, np.linspace(low, high, k - 1))[None, :]


def some(fraction: float = 0.4) -> Callable[[Array], Array]:
    """A mask that keeps the first class of each row and drops some others."""

    def mask(rows: Array) -> Array:
        keep = np.random.default_rng(7).random(rows.shape) > fraction
        keep[:, 0] = True
        return keep

    return mask


def one_row_masked(rows: Array) -> Array:
    """A mask that drops all classes of the second row."""
    keep = some()(rows)
    keep[1] = False
    return keep


INF, NAN = float("inf"), float("nan")
PLAIN = frozenset({"plain"})
EDGE = frozenset({"edge"})

SHAPES = (
    Case("one class", normal(3, 1)),
    Case("no rows", normal(0, 5), tags=EDGE),
    Case("two classes", normal(6, 2), tags=PLAIN),
    Case("three classes", normal(9, 3), tags=PLAIN),
    Case("ten classes", normal(5, 10), tags=PLAIN),
    Case("sixteen classes", normal(3, 16)),
    Case("seventeen classes", normal(3, 17)),
    Case("a hundred classes", normal(2, 100)),
    Case("a thousand classes", normal(1, 1000), BIG),
    Case("one dimension", normal(1, 6), batch=()),
    Case("two batch dimensions", normal(6, 4), batch=(2, 3)),
    Case("three batch dimensions", normal(8, 3), batch=(2, 2, 2)),
    Case("axis 0", normal(5, 4), axis=0),
    Case("axis in the middle", normal(6, 4), batch=(2, 3), axis=1),
    Case("axis -3", normal(6, 4), batch=(2, 3), axis=-3),
)
LAYOUTS = (
    *(
        Case(f"layout {layout}", normal(4, 5), layout=layout)
        for layout in ("Fortran", "reversed", "strided", "read-only", "unaligned")
    ),
    Case("layout big-endian", normal(4, 5), ("float16", *BIG), layout="big-endian"),
)
VALUES = (
    Case("far apart", given([1e4, -1e4, 0], [-1e4, -1e4, -9999])),
    Case("wide", normal(4, 20, 30)),
    Case("shifted by 300", normal(3, 8, 2, 300)),
    Case("near overflow of exp", given([88.7, 88.72, 80, -5], [709.7, 709.78, 700, 1]), BIG),
    Case("subnormal probabilities", sliding(-104.5, -86, 40), ("bfloat16", "float32")),
    Case("subnormal probabilities", sliding(-746, -706, 40), ("float64",)),
    Case("subnormal probabilities", sliding(-18, -9, 40), ("float16",)),
    Case("huge", given([1e38, -1e38, 9e37], [1e38, 1e38, 1e38]), WIDE),
    Case("huge in float64", given([8e307, -8e307, 7e307]), ("float64",)),
    Case("ties", given([2, 2, 2, 2], [0, 0, 1, 1], [-7, -7, -7, -7])),
    Case("ties of 1e8", given([1e8] * 4), WIDE),
    Case("ties of 1000", given([1000] * 4)),
    Case("dominant 20", given([20, 0])),
    Case("dominant 15", given([15, 0], [0, 15])),
    Case("dominant 40", given([40, 0, 0.5])),
    Case("normal(0, 20), three classes", normal(24, 3, 20)),
    Case("zeros and subnormals", given([0.0, -0.0, 1e-40, -1e-310]), BIG),
)
EDGES = (
    Case("some -inf", given([0, -INF, 1], [-INF, 5, -INF], [1, 2, 3]), tags=EDGE),
    Case("all -inf", given([-INF, -INF, -INF], [1, 2, 3]), tags=EDGE),
    Case("a +inf", given([0, INF, 1], [1, 2, 3], [INF, INF, -INF]), tags=EDGE),
    Case("a NaN", given([1, 2, 3], [0, NAN, 1], [3, 2, 1]), tags=EDGE),
    Case("NaN and +inf", given([NAN, INF, 1], [1, 2, 3]), tags=EDGE),
)
MASKS = (
    Case("masked", normal(6, 7), where=some()),
    Case("masked, axis 0", normal(6, 7), axis=0, where=some()),
    Case("a row wholly masked", normal(4, 5), where=one_row_masked, tags=EDGE),
    Case(
        "what is masked is NaN or inf",
        given([1, NAN, 2], [INF, 0, -1], [0.5, 1, 1.5]),
        where=lambda rows: np.array([[True, False, True], [False, True, True], [True] * 3]),
        tags=EDGE,
    ),
)
WHOLE_NUMBERS = (
    Case("whole numbers", given([100, 27, 1, 0], [3, 2, 1, 0]), INTEGERS),
    Case("large whole numbers", given([127, 2, 1, 0], [100, 101, 102, 103]), INTEGERS[:3]),
)
# Judged at a sample of their entries.
MANY = (
    Case("100003 classes", palette(MANY_CLASSES), BIG, tags=frozenset({"many"})),
    Case(
        "70000 equal logits",
        lambda rng: np.full((1, 70_000), 0.5),
        SIXTEEN,
        tags=frozenset({"many"}),
    ),
)

ORDINARY = (*SHAPES, *LAYOUTS, *VALUES)
SOFTMAX = (*ORDINARY, *EDGES, *MASKS, *WHOLE_NUMBERS, *MANY)
DERIVATIVES = (*ORDINARY, *EDGES)
JACOBIANS = tuple(
    case
    for case in (*SHAPES, *VALUES)
    if "axis" not in case.name and case.name not in ("a hundred classes", "a thousand classes")
)

WEIGHTS = {"class_weight": "some"}
OPTIONS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("sum", {"reduction": "sum"}),
    ("none", {"reduction": "none"}),
    ("class weights", WEIGHTS),
    ("sample weights", {"sample_weight": "some"}),
    ("both weights, by count", {**WEIGHTS, "sample_weight": "some", "normalizer": "count"}),
    ("normalizer 7.5", {"normalizer": 7.5}),
    ("smoothing", {"label_smoothing": 0.1}),
    ("smoothing and class weights", {"label_smoothing": 0.25, **WEIGHTS}),
    ("temperature", {"temperature": 2.0}),
    ("temperature 0.7", {"temperature": 0.7}),
    ("softcap", {"softcap": 5.0}),
    ("z-loss", {"z_loss": 0.01}),
    ("z-loss and class weights", {"z_loss": 0.1, **WEIGHTS}),
    ("masked", {"where": "some"}),
    ("masked, smoothed", {"where": "some", "label_smoothing": 0.2}),
    (
        "everything",
        {
            **WEIGHTS,
            "sample_weight": "some",
            "label_smoothing": 0.1,
            "temperature": 1.5,
            "softcap": 4.0,
            "z_loss": 0.02,
            "where": "some",
        },
    ),
)
IGNORED = (("ignored rows", {"ignore_index": -100}), ("ignored label", {"ignore_index": 1}))
EMPTY = (
    ("nothing left, nan", {"ignore_index": -100, "empty": "nan"}),
    ("nothing left, zero", {"ignore_index": -100, "empty": "zero"}),
    ("nothing left, sum", {"ignore_index": -100, "reduction": "sum"}),
)
GAUSS_NEWTON = {"gauss_newton": True}
LOSS_EDGES = tuple(
    Case(f"{case.name}, {target}", case.rows, target=target, options=options, tags=EDGE)
    for case in EDGES
    for target, options in (("labels", {"reduction": "none"}), ("onehot", {"reduction": "none"}))
)
CROSS_ENTROPY = (
    *(
        Case(f"{c.name}, {t}", c.rows, c.dtypes, c.batch, c.axis, c.layout, target=t, tags=c.tags)
        for c in (*SHAPES, *LAYOUTS, *VALUES, *WHOLE_NUMBERS)
        for t in ("labels", "targets")
    ),
    *(
        Case(f"{name}, {target}", normal(6, 5, 2), target=target, options=options)
        for name, options in OPTIONS
        for target in ("labels", "targets", "unnormalised")
    ),
    Case("a row wholly masked", normal(4, 5), options={"where": "all of one row"}),
    *(Case(name, normal(6, 5), target="ignoring", options=options) for name, options in IGNORED),
    *(Case(name, normal(3, 4), target="ignored", options=o, tags=EDGE) for name, o in EMPTY),
    *(
        Case(f"no rows, {empty}", normal(0, 4), options={"empty": empty}, tags=EDGE)
        for empty in ("nan", "zero")
    ),
    Case("axis in the middle, weighted", normal(6, 4), batch=(2, 3), axis=1, options=WEIGHTS),
    Case("axis 0, masked, targets", normal(6, 4), axis=0, target="targets", options=OPTIONS[13][1]),
    Case("label at a -inf logit", given([0, -INF, 1], [1, 2, 3]), target="second", tags=EDGE),
    Case("confident, mean", given([20, 0], [0, 20], [20, 0]), target="first"),
    *LOSS_EDGES,
    *MANY,
)
LINEAR = tuple(
    Case(f"{name}, {target}", normal(6, 4), BIG, target=target, options=options)
    for name, options in (("mean", {}), *OPTIONS)
    if options.get("reduction") != "none"
    for target in ("labels", "targets")
)
LINEAR_HVP = (
    *LINEAR,
    *(
        Case(f"{c.name}, Gauss-Newton", c.rows, c.dtypes, target=c.target,
             options={**c.options, **GAUSS_NEWTON})
        for c in LINEAR[-2:]
    ),
)  # fmt: skip
BINARY = tuple(
    Case(f"{name}, {target}", rows, dtypes, target=target, options=options)
    for name, rows, dtypes, options in (
        ("mean", normal(9, 1), FLOATS, {}),
        ("none", normal(9, 1), FLOATS, {"reduction": "none"}),
        ("far", given([20], [-20], [100], [-100], [1000], [0]), FLOATS, {"reduction": "none"}),
        ("weights", normal(9, 1), FLOATS, {**WEIGHTS, "sample_weight": "some"}),
        ("smoothed, T = 2", normal(9, 1), FLOATS, {"label_smoothing": 0.1, "temperature": 2.0}),
        ("no rows", normal(0, 1), FLOATS, {}),
    )
    for target in ("labels", "targets")
)
GAUSSIAN = tuple(
    Case(f"{name}, {kind}", rows, BIG, options={"kind": kind})
    for name, rows in (
        ("a few points", normal(5, 3, 1.0)),
        ("one input", normal(4, 1, 1.0)),
        ("no rows", normal(0, 2)),
        ("far from the origin", normal(4, 3, 1.0, 1000.0)),
        ("far from every center", normal(3, 2, 30.0)),
        ("near and far", lambda rng: rng.standard_normal((4, 2)) * [[1], [5], [10], [20]]),
    )
    for kind in ("additive", "radial")
)
CURVATURE = tuple(case for case in CROSS_ENTROPY if "many" not in case.tags)
HVP = (
    *CURVATURE,
    *(
        Case(
            f"Gauss-Newton, {t}",
            normal(6, 5, 2),
            target=t,
            options={**OPTIONS[-1][1], **GAUSS_NEWTON},
        )
        for t in ("labels", "targets")
    ),
)
SIGMOID = (
    Case("normal", normal(9, 3)),
    Case("no rows", normal(0, 3)),
    Case("tails", given([20, -20, 50, -50], [88, -88, 95, -95], [740, -740, 1e4, -1e4])),
    Case("edges", given([0, INF, -INF, NAN]), tags=EDGE),
)
