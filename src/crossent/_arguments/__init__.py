"""Every check of an argument, and every text that tells a caller what to do about it."""

from __future__ import annotations

from ._arrays import (
    as_array,
    as_floating,
    as_like,
    as_logits,
    as_output,
    as_rows,
    as_vector,
    check_same_shape,
    compute_dtype,
    is_plain,
    normalized_axis,
    row_shape,
)
from ._layers import (
    Gaussian,
    Linear,
    as_cotangent,
    as_gaussian,
    as_linear,
    as_needs,
    as_workspace,
)
from ._options import (
    LossOptions,
    as_sample_weight,
    loss_options,
)
from ._scalars import (
    as_index,
    as_normalizer,
    as_number,
    as_positive,
    as_thread_count,
    check_choice,
)
from ._targets import (
    Target,
    as_binary_target,
    as_class_mask,
    as_target,
    refuse_label,
    refuse_mass_on_masked_classes,
    target_row_bytes,
    target_rows,
)
from ._top_k import TopKRows, TopKTargets

__all__ = [
    "Gaussian",
    "Linear",
    "LossOptions",
    "Target",
    "TopKRows",
    "TopKTargets",
    "as_array",
    "as_binary_target",
    "as_class_mask",
    "as_cotangent",
    "as_floating",
    "as_gaussian",
    "as_index",
    "as_like",
    "as_linear",
    "as_logits",
    "as_needs",
    "as_normalizer",
    "as_number",
    "as_output",
    "as_positive",
    "as_rows",
    "as_sample_weight",
    "as_target",
    "as_thread_count",
    "as_vector",
    "as_workspace",
    "check_choice",
    "check_same_shape",
    "compute_dtype",
    "is_plain",
    "loss_options",
    "normalized_axis",
    "refuse_label",
    "refuse_mass_on_masked_classes",
    "row_shape",
    "target_row_bytes",
    "target_rows",
]
