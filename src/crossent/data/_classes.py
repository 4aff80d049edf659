"""Class names <-> 0 ... K-1, the mass each class has in the data, and the weights it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._typing import Array, ArrayLike, Batches, Labels

__all__ = ["class_mass", "class_weights", "encode_labels", "sorted_classes"]


def sorted_classes(y: Array, classes: ArrayLike | None = None) -> Array:
    """The distinct class names in sorted order: those of ``y``, or the ones given.

    Raises
    ------
    ValueError
        If the names given are not a list of distinct names, or those of ``y`` cannot be sorted.

    Examples
    --------
    >>> sorted_classes(np.array(["b", "a", "b"]))
    array(['a', 'b'], dtype='<U1')
    """
    try:
        if classes is None:
            return np.unique(y)
        given = np.asarray(classes)
        if given.ndim != 1:
            raise ValueError(f"classes must be a list of names, its shape is {given.shape}")
        names = np.unique(given)
    except TypeError:
        raise ValueError(
            "the class names cannot be sorted, as they mix types such as text and numbers: "
            "turn all of them into text"
        ) from None
    if len(names) != len(given):
        raise ValueError("classes name one class twice: every name must be given once")
    return names


def encode_labels(y: Array, classes: Array) -> Labels:
    """Class numbers of names.

    Parameters
    ----------
    y : array (N,)
    classes : array (K,)
        Sorted.

    Raises
    ------
    ValueError
        If a name is not among the classes.

    Examples
    --------
    >>> encode_labels(np.array(["b", "a", "b"]), np.array(["a", "b"]))
    array([1, 0, 1])
    """
    try:
        labels = np.minimum(np.searchsorted(classes, y), len(classes) - 1).astype(np.int64)
        unknown = np.asarray(classes[labels] != y)
    except TypeError:
        labels, unknown = np.zeros(len(y), dtype=np.int64), np.ones(len(y), dtype=bool)
    if unknown.any():
        row = int(unknown.argmax())
        names = ", ".join(repr(name) for name in classes[:10].tolist())
        more = ", ..." if len(classes) > 10 else ""
        name = np.asarray(y)[row : row + 1].tolist()[0]
        raise ValueError(f"y[{row}] is {name!r}, which is none of the classes {names}{more}")
    return labels


def class_mass(batches: Batches, n_classes: int) -> Array:
    """Total row weight of every class, float64 (K,); targets share their row's among classes."""
    mass = np.zeros(n_classes)
    for batch in batches:
        if batch.target.ndim == 1:
            mass += np.bincount(batch.target, weights=batch.sample_weight, minlength=n_classes)
        else:
            mass += batch.sample_weight @ batch.target.astype(np.float64)
    return mass


def class_weights(
    class_weight: Mapping[Any, float] | str | None, classes: Array, mass: Array
) -> Array | None:
    """Weights of the classes in their order, float64 (K,), or None for none.

    ``"balanced"`` gives class k the weight sum(mass) / (K mass_k), scikit-learn's rule; a class
    without mass has weight 1. A mapping gives weights to the names in it, and 1 to all others.

    Raises
    ------
    ValueError
        For another word, an unknown name, or a weight that is negative or not finite.

    Examples
    --------
    >>> class_weights("balanced", np.array(["a", "b"]), np.array([1.0, 3.0]))
    array([2.        , 0.66666667])
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, Mapping):
        return _named_weights(class_weight, classes)
    if class_weight != "balanced":
        raise ValueError(
            f"class_weight must be None, 'balanced' or a dict of class names to weights, "
            f"got {class_weight!r}"
        )
    present = mass > 0.0
    weights = np.ones(len(classes))
    weights[present] = mass.sum() / (np.count_nonzero(present) * mass[present])
    return weights


def _named_weights(class_weight: Mapping[Any, float], classes: Array) -> Array:
    position = {name: index for index, name in enumerate(classes.tolist())}
    weights = np.ones(len(classes))
    for name, weight in class_weight.items():
        if name not in position:
            known = ", ".join(repr(known) for known in list(position)[:10])
            raise ValueError(f"class_weight names the class {name!r}, but the classes are {known}")
        if not 0.0 <= weight < np.inf:
            raise ValueError(
                f"class_weight[{name!r}] is {weight}: weights must be finite and not negative"
            )
        weights[position[name]] = weight
    return weights
