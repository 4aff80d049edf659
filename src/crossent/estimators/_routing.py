"""Metadata on its way through a classifier around another one: who takes what."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from .._typing import Array

__all__ = ["metadata_router", "routed"]


def metadata_router(owner: Any, estimator: Any, splitter: Any) -> MetadataRouter:
    """The owner's own, the estimator's ``fit`` and the splitter's ``split``."""
    to_fit = MethodMapping().add(caller="fit", callee="fit")
    to_split = MethodMapping().add(caller="fit", callee="split")
    return (
        MetadataRouter(owner=owner)
        .add_self_request(owner)
        .add(estimator=estimator, method_mapping=to_fit)
        .add(splitter=splitter, method_mapping=to_split)
    )


def routed(
    owner: Any, estimator: Any, weight: Array | None, params: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What goes to the estimator's ``fit``, and what to the splitter.

    Without scikit-learn's routing all goes to ``fit``, and the weights where it knows the word.
    """
    if get_config()["enable_metadata_routing"]:
        found = process_routing(owner, "fit", sample_weight=weight, **params)
        return found.estimator.fit, found.splitter.split
    if weight is None:
        return params, {}
    if "sample_weight" in inspect.signature(estimator.fit).parameters:
        return {**params, "sample_weight": weight}, {}
    warnings.warn(
        f"{type(estimator).__name__}.fit takes no sample_weight: the weights are used for "
        "the scaling only",
        UserWarning,
        stacklevel=6,
    )
    return params, {}
