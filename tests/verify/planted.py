"""An implementation in NumPy written another way than ours, and slips that can be planted in it.

Everything is computed in float64 by rows and cast at the end. `build(None)` is right; `build(slip)`
has just that slip. The slips are those that people make.
"""

import numpy as np

from crossent.verify._plain import compute


def _rows(array, axis):
    moved = np.moveaxis(array, axis, -1)
    return moved.reshape(-1, moved.shape[-1])


def _back(rows, like, axis):
    moved = np.moveaxis(np.empty(like.shape), axis, -1)
    return np.moveaxis(rows.reshape(moved.shape), -1, axis)


def _all_but(values, index):
    """Each row's sum without the entry at its index."""
    places = np.arange(values.shape[1])
    return np.where(places == index[:, None], 0, values).sum(axis=1)


def _result_dtype(logits):
    return np.dtype(float) if logits.dtype.kind in "biu" else logits.dtype.newbyteorder("=")


class Planted:
    """The functions of the public surface, with one slip or none."""

    def __init__(self, slip):
        self.slip = slip

    # ------------------------------------------------------------ the softmax family

    def _shift(self, z):
        if self.slip == "no shift":
            return np.zeros((len(z), 1))
        if self.slip == "shift by the mean":
            return z.mean(axis=1, keepdims=True)
        if self.slip == "one shift for all rows":
            return np.full((len(z), 1), z.max(initial=-np.inf))
        return z.max(axis=1, keepdims=True)

    def _parts(self, logits, axis, where):
        """Rows, mask, shift, shifted rows, exponentials, and the sum over all but the largest."""
        z = logits
        if self.slip == "integers wrap":
            z = z - z.max(axis=axis, keepdims=True) if z.dtype.kind in "iu" else z
        z = _rows(z, axis).astype(float)
        if self.slip == "swallowed NaN":
            z = np.nan_to_num(z, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        mask = np.ones(z.shape, bool) if where is None else _rows(where, axis)
        if self.slip == "mask by multiplying":
            z = z * mask
        elif self.slip != "masked class counted":
            z = np.where(mask, z, -np.inf)
        a = self._shift(z)
        shifted = z - a
        shifted[(z == np.inf).any(axis=1)] = np.nan
        e = np.exp(shifted)
        if self.slip == "float32 accumulation":
            e = e.astype(np.float32).astype(float)
        others = e.copy()
        others[np.arange(len(z)), z.argmax(axis=1)] = 0
        top = e[np.arange(len(z)), z.argmax(axis=1)][:, None]
        return z, mask, a, shifted, e, others.sum(axis=1, keepdims=True), top

    def softmax(self, logits, *, axis=-1, where=None):
        if self.slip == "wrong axis":
            axis = -1
        _, mask, _, _, e, others, top = self._parts(logits, axis, where)
        p = np.where(mask & mask.any(axis=1, keepdims=True), e / (top + others), 0)
        dtype = _result_dtype(logits)
        if self.slip == "flushed subnormals" and dtype.name in ("float32", "float64"):
            p = np.where(p < np.finfo(dtype).tiny, 0 * p, p)
        if self.slip == "16 bits come back as 32":
            dtype = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
        if self.slip == "computed in 16 bits" and dtype.itemsize == 2:
            small = e.astype(dtype)
            p = small / np.add.reduce(small, axis=1, dtype=dtype, keepdims=True)
        if self.slip == "written into the input" and logits.flags.writeable:
            logits[...] = _back(p, logits, axis).astype(logits.dtype)
        return _back(p, logits, axis).astype(dtype)

    def log_softmax(self, logits, *, axis=-1, where=None):
        _, mask, _, shifted, e, others, top = self._parts(logits, axis, where)
        if self.slip == "log of softmax":
            q = np.log(e / (top + others))
        elif self.slip == "log of the whole sum":
            q = shifted - np.log(top + others)
        else:
            q = shifted - (np.log1p(others) if self.slip is None else np.log1p(others + top - 1))
        q = np.where(mask, q, -np.inf)
        return _back(q, logits, axis).astype(_result_dtype(logits))

    def logsumexp(self, logits, *, axis=-1, where=None):
        z, _, a, _, _, others, top = self._parts(logits, axis, where)
        lse = np.where(a == -np.inf, -np.inf, a + np.log(top) + np.log1p(others / top))
        lse = np.where((z == np.inf).any(axis=1, keepdims=True), np.inf, lse)
        lse = np.where(np.isnan(z).any(axis=1, keepdims=True), np.nan, lse)
        shape = np.delete(logits.shape, axis)
        return lse.reshape(shape).astype(_result_dtype(logits))

    def softmax_vjp(self, probabilities, cotangent, *, axis=-1):
        p, g = (_rows(a, axis).astype(float) for a in (probabilities, cotangent))
        inner = (p * g).sum(axis=1, keepdims=True)
        out = p * (g - inner)
        if self.slip == "missing off-diagonal":
            out = p * (1 - p) * g
        if self.slip == "sign of the Jacobian":
            out = -out
        if self.slip == "inner product without p":
            out = p * (g - g.mean(axis=1, keepdims=True))
        return _back(out, probabilities, axis).astype(probabilities.dtype.newbyteorder("="))

    softmax_jvp = softmax_vjp

    def log_softmax_vjp(self, log_probabilities, cotangent, *, axis=-1):
        q, g = (_rows(a, axis).astype(float) for a in (log_probabilities, cotangent))
        out = g - np.exp(q) * g.sum(axis=1, keepdims=True)
        if self.slip == "transposed Jacobian":
            out = g - (np.exp(q) * g).sum(axis=1, keepdims=True)
        return _back(out, log_probabilities, axis).astype(log_probabilities.dtype.newbyteorder("="))

    def logsumexp_vjp(self, logits, cotangent, *, axis=-1):
        p = _rows(self.softmax(logits.astype(float), axis=axis), axis)
        if self.slip == "exp of z - rounded lse":
            lse = self.logsumexp(logits, axis=axis).astype(compute(logits).dtype)
            p = np.exp(_rows(compute(logits), axis) - lse.reshape(-1, 1))
        out = p * cotangent.reshape(-1, 1).astype(float)
        return _back(out, logits, axis).astype(_result_dtype(logits))

    # ------------------------------------------------------------ the loss

    def _target(self, target, z, mask, o):
        """Weighted, smoothed targets; which rows count; each row's share of the normalizer."""
        m, k = z.shape
        counted = mask.any(axis=1)
        if target.ndim == 1:
            y = np.zeros((m, k))
            if o["ignore_index"] is not None:
                ignored = target == o["ignore_index"]
                counted = counted if self.slip == "ignored rows counted" else counted & ~ignored
                target = np.where(ignored, 0, target)
            y[np.arange(m), target - 1 if self.slip == "label off by one" else target] = 1
            y[~counted] = 0
            if o["ignore_index"] is not None:
                y[ignored] = 0
        else:
            y = target.astype(float)
        s, w = y.sum(axis=1, keepdims=True), np.ones(k)
        if o["class_weight"] is not None:
            w = o["class_weight"]
        share = np.where(s > 0, y @ w[:, None] / np.where(s > 0, s, 1), 1)[:, 0]
        classes = mask.sum(axis=1, keepdims=True).clip(1)
        if self.slip == "smoothing spread over all classes":
            classes = k
        e = o["label_smoothing"]
        spread = e * (1 if self.slip == "torch's smoothing" else s) / classes
        y = ((1 - e) * y + spread) * mask
        return (y if self.slip == "class weights forgotten" else w * y), counted, share

    def _loss(self, logits, target, tangent, axis, o):
        z, v = _rows(logits, axis).astype(float), _rows(tangent, axis).astype(float)
        mask = np.ones(z.shape, bool) if o["where"] is None else _rows(o["where"], axis)
        target = _rows(target, axis) if target.shape == logits.shape else target.reshape(-1)
        y, counted, share = self._target(target, z, mask, o)
        t, c, zeta = o["temperature"], o["softcap"], o["z_loss"]
        m = z / t
        m1, m2 = np.ones(z.shape), np.zeros(z.shape)
        if c is not None:
            m1, m2 = np.cosh(m / c) ** -2.0, -2 * np.tanh(m / c) * np.cosh(m / c) ** -2.0 / c
            m = c * np.tanh(m / c)
        if self.slip == "softcap not differentiated":
            m1 = np.ones(z.shape)
        m = np.where(mask, m, -np.inf)
        top = m.argmax(axis=1)
        every = np.arange(len(m))
        a = m[every, top][:, None]
        d = np.where(m == a, 0, m - a)
        d[~np.isfinite(a[:, 0])] = np.nan
        e = np.exp(d)
        others = _all_but(e, top)[:, None]
        p, lse = e / (1 + others), a + np.log1p(others)
        with np.errstate(all="ignore"):
            terms = y * (np.log1p(others) - d)
        loss = (terms if self.slip == "0 times inf" else np.where(y > 0, terms, 0 * e)).sum(axis=1)
        s = y.sum(axis=1, keepdims=True)
        if self.slip == "z-loss with class weights":
            zeta = zeta * s
        if self.slip == "loss by log of the probability":
            loss = -np.where(y > 0, y * np.log((e / (1 + others)).astype(np.float32)), 0).sum(
                axis=1
            )
        loss = loss + (zeta * lse**2)[:, 0] if o["z_loss"] else loss
        not_p, not_y = 1 - p, s - y
        not_p[every, top] = _all_but(p, top)
        not_y[every, y.argmax(axis=1)] = _all_but(y, y.argmax(axis=1))
        g = p * not_y - y * not_p + 2 * zeta * lse * p
        if self.slip == "p - y for any targets":
            g = p - y + 2 * zeta * lse * p
        if self.slip == "p - 1 in float32":
            g = (p.astype(np.float32) * s.astype(np.float32) - y.astype(np.float32)).astype(float)
            g = g + 2 * zeta * lse * p
        dm = m1 * v / t
        mean = np.where(mask, p * dm, 0).sum(axis=1, keepdims=True)
        h = m1 / t * ((s + 2 * zeta * lse) * p * (dm - mean) + 2 * zeta * p * mean)
        newton = o["gauss_newton"] or self.slip == "Gauss-Newton for the Hessian"
        if newton or self.slip == "curvature of z-loss forgotten":
            h = m1 / t * (s * p * (dm - mean) + 2 * zeta * p * mean)
        if not newton and self.slip != "curvature of the softcap forgotten":
            h = h + m2 * v / t**2 * g
        gradient = g * m1 if self.slip == "forgotten 1/T" else g * m1 / t
        parts = {"loss": loss, "gradient": gradient, "hvp": h, "v": v, "mask": mask}
        return parts, counted, share

    def _reduced(self, logits, target, tangent, axis, options):
        o = {
            "class_weight": None, "sample_weight": None, "ignore_index": None,
            "label_smoothing": 0.0, "temperature": 1.0, "softcap": None, "z_loss": 0.0,
            "where": None, "reduction": "mean", "normalizer": "weight", "empty": "nan",
            "gauss_newton": False,
        } | options  # fmt: skip
        parts, counted, share = self._loss(logits, target, tangent, axis, o)
        r = np.ones(len(counted)) if o["sample_weight"] is None else o["sample_weight"].reshape(-1)
        if self.slip == "sample weight squared":
            r = r**2
        live = counted & (r > 0)
        if self.slip == "ignored rows counted":
            live = live & (parts["gradient"] == parts["gradient"]).all(axis=1)
        factor = 1.0
        if o["reduction"] == "mean":
            n = {"weight": (r * share)[live].sum(), "count": counted.sum()}
            n = n.get(o["normalizer"], o["normalizer"])
            if self.slip == "mean over all rows":
                n = len(r)
            factor = 1 / n if n else {"nan": np.nan, "zero": 0.0}[o["empty"]]
            if self.slip == "empty mean is zero" and not n:
                factor = 0.0
        both = live[:, None] & parts["mask"]
        scaled = {
            name: factor * np.where(both, r[:, None] * parts[name], 0)
            for name in ("gradient", "hvp")
        }
        tangents = (scaled["gradient"] * np.where(both, parts["v"], 0)).sum(axis=1)
        if self.slip == "tangent by the rounded gradient":
            rounded = scaled["gradient"].astype(_result_dtype(logits)).astype(float)
            tangents = (rounded * np.where(both, parts["v"], 0)).sum(axis=1)
        if self.slip == "tangent of 14 bits" and _result_dtype(logits).itemsize == 2:
            tangents = tangents * (1 + 2.0**-14)
        losses = factor * np.where(live, r * parts["loss"], 0)
        if o["reduction"] == "none":
            dtype, shape = _result_dtype(logits), np.delete(logits.shape, axis)
            losses, tangents = (x.reshape(shape).astype(dtype) for x in (losses, tangents))
        else:
            dtype = _result_dtype(logits)
            dtype = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
            losses, tangents = (dtype.type(x.sum() + 0 * factor) for x in (losses, tangents))
        gradient, hvp = (
            _back(x, logits, axis).astype(_result_dtype(logits)) for x in scaled.values()
        )
        return losses, gradient, tangents, hvp

    def cross_entropy(self, logits, target, *, axis=-1, **options):
        return self._reduced(logits, target, np.zeros(logits.shape), axis, options)[0]

    def cross_entropy_value_and_grad(self, logits, target, *, axis=-1, **options):
        return self._reduced(logits, target, np.zeros(logits.shape), axis, options)[:2]

    def cross_entropy_jvp(self, logits, target, tangent, *, axis=-1, **options):
        found = self._reduced(logits, target, tangent, axis, options)
        return found[0], found[2]

    def cross_entropy_hvp(self, logits, target, tangent, *, axis=-1, **options):
        return self._reduced(logits, target, tangent, axis, options)[3]

    # ------------------------------------------------------------ two classes, Gaussian features

    def sigmoid(self, x):
        u = x.astype(float)
        if self.slip == "1 - sigmoid(-x)":
            return (1 - 1 / (1 + np.exp(u))).astype(x.dtype)
        return np.where(u > 0, 1 / (1 + np.exp(-abs(u))), np.exp(u) / (1 + np.exp(u))).astype(
            x.dtype
        )

    def gaussian_features(self, inputs, centers, beta, *, kind):
        d = inputs[:, None, :].astype(float) - centers
        if kind == "radial":
            power = beta * (d**2).sum(axis=2)
            if self.slip == "distances by a matrix product":
                squares = (inputs**2).sum(axis=1)[:, None] + (centers**2).sum(axis=1)
                power = beta * (squares - 2 * inputs @ centers.T)
            phi = np.exp(-power)
            if self.slip == "near features poor where others are far" and power.max(initial=0) > 50:
                phi = np.where(power < 10, phi * (1 + 2.0**-46), phi)
            return phi.astype(inputs.dtype)
        return np.exp(-beta[:, None] * d**2).sum(axis=2).astype(inputs.dtype)

    def gaussian_features_vjp(self, inputs, centers, beta, cotangent, *, kind):
        d = inputs[:, None, :].astype(float) - centers
        squares = (d**2).sum(axis=2, keepdims=True) if kind == "radial" else d**2
        he = cotangent[:, :, None] * np.exp(-beta[:, None].astype(float) * squares)
        pull = 2 * beta[:, None] * d * he
        by_beta = -(squares * he).sum(axis=(0, 2))
        if self.slip == "sign of dbeta":
            by_beta = -by_beta
        if self.slip == "beta forgotten in dcenters":
            return tuple(
                x.astype(inputs.dtype) for x in (-pull.sum(1), (2 * d * he).sum(0), by_beta)
            )
        if self.slip == "same sign for inputs and centers":
            pull_x = pull.sum(axis=1)
        else:
            pull_x = -pull.sum(axis=1)
        return tuple(x.astype(inputs.dtype) for x in (pull_x, pull.sum(axis=0), by_beta))


def build(slip):
    """Return the functions by name."""
    planted = Planted(slip)
    return {name: getattr(planted, name) for name in dir(Planted) if not name.startswith("_")}
