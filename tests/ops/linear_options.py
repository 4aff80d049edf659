"""A small linear layer, its labels and targets, and options of the loss that change its way."""

import numpy as np

import crossent as ce

RNG = np.random.default_rng(11)
N, D, K = 37, 5, 13
X, W, B = RNG.normal(size=(N, D)), RNG.normal(size=(K, D)), RNG.normal(size=K)
LABELS = RNG.integers(0, K, N)
WHERE = RNG.random((N, K)) > 0.3
WHERE[np.arange(N), LABELS] = True
WHERE[3] = False
COLUMNS = np.ones(K, bool)
COLUMNS[[2, 7]] = False
KEPT = np.where(COLUMNS[LABELS], LABELS, 0)
TARGETS = ce.softmax(RNG.normal(size=(N, K)))
OPTIONS = {
    "plain": (LABELS, {}),
    "targets": (TARGETS, {}),
    "all options": (
        LABELS,
        {
            "class_weight": RNG.random(K),
            "sample_weight": RNG.random(N) * (np.arange(N) % 3 > 0),
            "ignore_index": 4,
            "label_smoothing": 0.1,
            "temperature": 1.5,
            "softcap": 4.0,
            "z_loss": 0.01,
            "where": WHERE,
            "normalizer": "count",
        },
    ),
    "columns": (KEPT, {"where": COLUMNS, "reduction": "sum"}),
    "soft options": (TARGETS, {"class_weight": RNG.random(K), "label_smoothing": 0.2}),
    "ignored": (np.full(N, -100), {"ignore_index": -100}),
    "ignored, zero": (np.full(N, -100), {"ignore_index": -100, "empty": "zero"}),
}
