"""What each rank of a process group does in `test_ranks`: run as a program, once for each rank."""

import datetime
import os
import sys

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

import crossent.torch as ct

N, D, K = 7, 3, 9
SPLITS = {2: [6, 3], 3: [2, 6, 1]}
_rng = np.random.default_rng(2)
X = torch.from_numpy(_rng.normal(size=(N, D)))
WEIGHT = torch.from_numpy(_rng.normal(0, 2, (K, D)))
BIAS = torch.from_numpy(_rng.normal(size=K))
LABELS = torch.from_numpy(_rng.integers(0, K, N))
TARGETS = torch.from_numpy(_rng.random((N, K)))
MASK = torch.from_numpy(_rng.random((N, K)) > 0.3)
MASK[torch.arange(N), LABELS] = True
MASK[2] = False
CLASS_WEIGHT = torch.from_numpy(0.5 + _rng.random(K))
SAMPLE_WEIGHT = torch.from_numpy(_rng.random(N))
COTANGENT = torch.from_numpy(_rng.normal(size=N))

# target, options; what has a class axis is split over the ranks
CASES = {
    "labels": (LABELS, {}),
    "each row": (LABELS, {"reduction": "none"}),
    "sum": (LABELS.int(), {"reduction": "sum"}),
    "targets": (TARGETS, {}),
    "smoothed labels": (LABELS, {"label_smoothing": 0.2}),
    "smoothed targets": (TARGETS, {"label_smoothing": 0.2, "class_weight": CLASS_WEIGHT}),
    "class weights": (LABELS, {"class_weight": CLASS_WEIGHT, "sample_weight": SAMPLE_WEIGHT}),
    "ignored": (LABELS, {"ignore_index": int(LABELS[3]), "normalizer": "count"}),
    "masked": (LABELS, {"where": MASK}),
    "everything": (LABELS, {"label_smoothing": 0.1, "class_weight": CLASS_WEIGHT, "softcap": 3.0,
                            "temperature": 1.5, "z_loss": 0.1, "where": MASK,
                            "sample_weight": SAMPLE_WEIGHT}),
}  # fmt: skip
SHARED = ("sample_weight",)


def part(tensor, columns):
    return tensor[..., columns] if isinstance(tensor, torch.Tensor) else tensor


def arguments_of(name, columns=slice(None)):
    """Return target and options of a case, as a rank that holds some classes has them."""
    target, options = CASES[name]
    here = {k: v if k in SHARED else part(v, columns) for k, v in options.items()}
    return (target if target.ndim == 1 else target[:, columns]), here


def layer_results(name, columns=slice(None), **group):
    """Return the loss and its gradients in inputs, weight and bias."""
    target, options = arguments_of(name, columns)
    x, weight, bias = (t.clone().requires_grad_() for t in (X, WEIGHT[columns], BIAS[columns]))
    loss = ct.linear_cross_entropy(x, weight, target, bias=bias, **options, **group)
    (loss * COTANGENT if loss.ndim else loss).sum().backward()
    return {"loss": loss.detach(), "inputs": x.grad, "weight": weight.grad, "bias": bias.grad}


def logits_results(name, columns=slice(None), **group):
    """Return the loss and its gradient in logits, whose class axis is the first."""
    target, options = arguments_of(name, columns)
    z = (X @ WEIGHT[columns].T).T.contiguous().requires_grad_()
    if target.ndim == 2:
        target = target.T
    if "where" in options:
        options["where"] = options["where"].T
    loss = ct.cross_entropy(z, target, axis=0, **options, **group)
    (loss * COTANGENT if loss.ndim else loss).sum().backward()
    return {"loss": loss.detach(), "logits": z.grad}


def confident(columns=slice(None), **group):
    """Return what would cancel: a float32 row whose label is far above the other ranks' classes."""
    z = torch.full((1, K), -20.0)
    z[0, 0] = 0.0
    z = z[:, columns].clone().requires_grad_()
    loss = ct.cross_entropy(z, torch.tensor([0]), **group)
    loss.backward()
    return {"loss": loss.detach(), "logits": z.grad}


def rows_of(rank, world):
    return slice(rank * N // world, (rank + 1) * N // world)


def data_parallel(rank, world):
    """Return the parameters' gradients as DistributedDataParallel averages them."""
    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Linear(D, K).double())
    rows, options = rows_of(rank, world), {"ignore_index": int(LABELS[0])}
    x, labels, weights = X[rows], LABELS[rows], SAMPLE_WEIGHT[rows]
    loss = ct.cross_entropy(model(x), labels, sample_weight=weights, class_weight=CLASS_WEIGHT,
                            data_group=dist.group.WORLD, **options)  # fmt: skip
    loss.backward()
    module = model.module
    linear = ct.linear_cross_entropy(
        x, module.weight.detach(), labels, bias=module.bias.detach(), sample_weight=weights,
        class_weight=CLASS_WEIGHT, data_group=dist.group.WORLD, **options,
    )  # fmt: skip
    losses = torch.stack([loss.detach(), linear])
    dist.all_reduce(losses)
    return {"weight": module.weight.grad, "bias": module.bias.grad, "losses": losses / world}


def sharded(world):
    """Return what weights that are DTensors give."""
    mesh = DeviceMesh("cpu", list(range(world)))
    weight = distribute_tensor(WEIGHT, mesh, [Shard(0)]).requires_grad_()
    loss = ct.linear_cross_entropy(X, weight, LABELS)
    loss.backward()
    return {"loss": loss.detach(), "weight": weight.grad.full_tensor()}


def statistics(columns=slice(None), **group):
    """Return the statistics of the layer for labels and for targets."""
    arguments = {"bias": BIAS[columns], "top_k": 5} | group
    return [
        tuple(ct.linear_statistics(X, WEIGHT[columns], target, **arguments))
        for target in (LABELS, TARGETS[:, columns])
    ]


def errors(columns, group):
    """Return what every rank says of a label that no rank has."""
    said = []
    for label in (-1, K):
        labels = LABELS.clone()
        labels[1] = label
        try:
            ct.cross_entropy((X @ WEIGHT[columns].T), labels, process_group=group)
        except ValueError as error:
            said.append(str(error))
    return said


def counted_collectives(columns, group):
    """Return how many collectives a loss takes forward and backward."""
    counts, real = [], dist.all_reduce

    def spy(*args, **kwargs):
        counts[-1] += 1
        return real(*args, **kwargs)

    dist.all_reduce = spy
    try:
        counts.append(0)
        weight = WEIGHT[columns].clone().requires_grad_()
        loss = ct.linear_cross_entropy(
            X.clone().requires_grad_(), weight, LABELS, process_group=group
        )
        counts.append(0)
        loss.backward()
    finally:
        dist.all_reduce = real
    return counts


def main(folder, dies):
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
    rank, world = dist.get_rank(), dist.get_world_size()
    torch.set_num_threads(1)
    group = dist.group.WORLD
    start = sum(SPLITS[world][:rank])
    columns = slice(start, start + SPLITS[world][rank])
    if dies:
        if rank == world - 1:
            os._exit(3)
        try:
            layer_results("labels", columns, process_group=group)
        except RuntimeError as error:
            torch.save(str(error), f"{folder}/{rank}.pt")
        os._exit(0)
    results = {
        "columns": columns,
        "layer": {name: layer_results(name, columns, process_group=group) for name in CASES},
        "logits": {name: logits_results(name, columns, process_group=group) for name in CASES},
        "confident": confident(columns, process_group=group),
        "data": data_parallel(rank, world),
        "sharded": sharded(world),
        "statistics": statistics(columns, process_group=group),
        "errors": errors(columns, group),
        "collectives": counted_collectives(columns, group),
    }
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], dies=len(sys.argv) > 2)
