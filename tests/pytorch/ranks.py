"""What each rank of a process group does in `test_ranks`: run as a program, once for each rank."""

import copy
import datetime
import os
import sys

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

import crossent as ce
import crossent.torch as ct
from crossent.torch import nn

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

FEW = ce.TopKTargets(
    torch.tensor([[0, 2, 8], [3, 1, 7], [1, 0, 5], [6, 7, 8], [4, 2, 1], [0, 3, 6], [8, 5, 2]]),
    torch.from_numpy(0.3 * _rng.random((N, 3))),
)
MASK_OF_FEW = MASK.scatter(1, FEW.indices, True)
MASK_OF_FEW[2] = False

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
    "top-k": (FEW, {}),
    "top-k and tail": (FEW._replace(tail="uniform"), {"label_smoothing": 0.1}),
    "top-k masked": (FEW._replace(tail="uniform"), {"where": MASK_OF_FEW,
                                                    "class_weight": CLASS_WEIGHT}),
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
    whole = isinstance(target, ce.TopKTargets) or target.ndim == 1
    return (target if whole else target[:, columns]), here


def layer_results(name, columns=slice(None), **group):
    """Return the loss and its gradients in inputs, weight and bias."""
    target, options = arguments_of(name, columns)
    x, weight, bias = (t.clone().requires_grad_() for t in (X, WEIGHT[columns], BIAS[columns]))
    loss = ct.linear_cross_entropy(x, weight, target, bias=bias, **options, **group)
    (loss * COTANGENT if loss.ndim else loss).sum().backward()
    return {"loss": loss.detach(), "inputs": x.grad, "weight": weight.grad, "bias": bias.grad}


def directions(columns=slice(None)):
    """Return where inputs, weight, bias and the cotangent of the loss move."""
    generator = torch.Generator().manual_seed(5)
    x, weight, bias = (torch.randn(t.shape, generator=generator, dtype=t.dtype)
                       for t in (X, WEIGHT, BIAS))  # fmt: skip
    return x, weight[columns], bias[columns]


def layer_hessian(name, columns=slice(None), **group):
    """Return a product with the Hessian by double backward, and <G, v> by the cotangent of E."""
    target, options = arguments_of(name, columns)
    primals = [t.clone().requires_grad_() for t in (X, WEIGHT[columns], BIAS[columns])]
    x, weight, bias = primals
    loss = ct.linear_cross_entropy(x, weight, target, bias=bias, **options, **group)
    g = torch.ones_like(loss).requires_grad_()
    gradients = torch.autograd.grad(loss, primals, g, create_graph=True)
    of_x, of_weight, of_bias, of_g = torch.autograd.grad(
        gradients, [*primals, g], directions(columns)
    )
    return {"inputs": of_x, "weight": of_weight, "bias": of_bias, "g": of_g}


def logits_hessian(name, columns=slice(None), **group):
    """Return the same of logits."""
    target, options = arguments_of(name, columns)
    z = (X @ WEIGHT[columns].T).requires_grad_()
    loss = ct.cross_entropy(z, target, **options, **group)
    (gradient,) = torch.autograd.grad(loss.sum(), z, create_graph=True)
    return torch.autograd.grad(gradient, z, torch.cos(z.detach()))[0]


def module_results(rank, world):
    """Return what a module makes of its part of a whole module's state, and how it begins."""
    group, start = dist.group.WORLD, sum(SPLITS[world][:rank])
    torch.manual_seed(0)
    whole = whole_module()
    heads = {
        "even": nn.LinearCrossEntropy(D, K, bias=True, weight=CLASS_WEIGHT, dtype=torch.float64,
                                      process_group=group),
        "uneven": nn.LinearCrossEntropy(D, K, bias=True, weight=CLASS_WEIGHT, dtype=torch.float64,
                                        process_group=group, local_classes=SPLITS[world][rank]),
    }  # fmt: skip
    found = {"drawn": heads["even"].linear.weight.detach().clone()}
    for name, head in heads.items():
        head.load_state_dict(whole.state_dict())
        again = copy.deepcopy(head)
        again.load_state_dict(head.state_dict())
        loss = again(X, LABELS)
        loss.backward()
        gradients = again.linear.weight.grad, again.linear.bias.grad
        found[name] = (loss.detach(), *gradients, head.classes)
    assert heads["uneven"].classes.start == start
    z = X @ heads["even"].linear.weight.T
    criterion = nn.CrossEntropyLoss(CLASS_WEIGHT[heads["even"].classes], process_group=group)
    found["criterion"] = criterion(z, LABELS).detach()
    return found


def whole_module():
    torch.manual_seed(7)
    return nn.LinearCrossEntropy(D, K, bias=True, weight=CLASS_WEIGHT, dtype=torch.float64)


def module_errors(world):
    """Return what is said of modules that cannot be: on every rank the same."""
    said = []
    for options in ({"num_classes": 1}, {"num_classes": K, "local_classes": K}):
        try:
            nn.LinearCrossEntropy(D, process_group=dist.group.WORLD, **options)
        except ValueError as error:
            said.append(str(error))
    return said


def meshes(rank, world):
    """Return what weights on meshes of data x classes give, all classes or all rows on one rank."""
    found = {}
    for name, shape in (("classes", (1, world)), ("data", (world, 1))):
        mesh = init_device_mesh("cpu", shape, mesh_dim_names=("data", "classes"))
        weight = distribute_tensor(WEIGHT, mesh, [Replicate(), Shard(0)]).requires_grad_()
        rows = rows_of(rank, world) if name == "data" else slice(None)
        data_group = mesh.get_group("data")
        loss = ct.linear_cross_entropy(X[rows], weight, LABELS[rows], data_group=data_group)
        loss.backward()
        losses = loss.detach().clone()
        dist.all_reduce(losses)
        found[name] = losses / world, weight.grad.full_tensor()
        if name == "data":
            try:
                ct.linear_cross_entropy(X[rows], weight, LABELS[rows])
            except ValueError as error:
                found["error"] = str(error)
    return found


def square_mesh(rank):
    """Return what a weight on a mesh of 2 x 2 gives: classes over two ranks, rows over two."""
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("data", "classes"))
    weight = distribute_tensor(WEIGHT, mesh, [Replicate(), Shard(0)]).requires_grad_()
    rows = rows_of(rank // 2, 2)
    options = {"class_weight": CLASS_WEIGHT.chunk(2)[rank % 2], "ignore_index": int(LABELS[0]),
               "sample_weight": SAMPLE_WEIGHT[rows]}  # fmt: skip
    x = X[rows].clone().requires_grad_()
    loss = ct.linear_cross_entropy(
        x, weight, LABELS[rows], data_group=mesh.get_group("data"), **options
    )
    loss.backward()
    losses = loss.detach().clone()
    dist.all_reduce(losses)
    return {"loss": losses / 4, "weight": weight.grad.full_tensor(), "inputs": x.grad,
            "rows": rows}  # fmt: skip


class Network(torch.nn.Module):
    """A layer and a head, called in one forward as FullyShardedDataParallel wants it."""

    def __init__(self, **groups):
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Linear(D, D, dtype=torch.float64)
        self.head = nn.LinearCrossEntropy(D, K, bias=True, dtype=torch.float64, **groups)

    def forward(self, x, labels):
        return self.head(torch.tanh(self.first(x)), labels)


def fully_sharded(rank, world):
    """Return loss and gradients of a network whose parameters are sharded for storage."""
    model, rows = Network(data_group=dist.group.WORLD), rows_of(rank, world)
    for module in (model.first, model.head, model):
        fully_shard(module)
    loss = model(X[rows], LABELS[rows])
    loss.backward()
    losses = loss.detach().clone()
    dist.all_reduce(losses)
    gradients = {name: p.grad.full_tensor() for name, p in model.named_parameters()}
    said = []
    weight = model.head.linear.weight  # outside of forward it looks like one of some classes
    labels = torch.full((N,), 0 if rank else K - 1)  # of no rank among its own classes
    for own in (slice(None), slice(2 + rank)):
        try:
            ct.linear_cross_entropy(X[own], weight, labels[own])
        except ValueError as error:
            said.append(str(error))
    return {"loss": losses / world, "gradients": gradients, "outside": said}


def logits_results(name, columns=slice(None), **group):
    """Return the loss and its gradient in logits, whose class axis is the first."""
    target, options = arguments_of(name, columns)
    z = (X @ WEIGHT[columns].T).T.contiguous().requires_grad_()
    if isinstance(target, torch.Tensor) and target.ndim == 2:
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
    if world == 4:
        torch.save(square_mesh(rank), f"{folder}/{rank}.pt")
        dist.destroy_process_group()
        return
    start = sum(SPLITS[world][:rank])
    columns = slice(start, start + SPLITS[world][rank])
    if dies:
        if rank == world - 1:
            os._exit(3)
        said = []
        for name, here in (("process_group", columns), ("data_group", slice(None))):
            try:
                layer_results("labels", here, **{name: group})
            except RuntimeError as error:
                said.append(str(error))
        torch.save(said, f"{folder}/{rank}.pt")
        os._exit(0)
    results = {
        "columns": columns,
        "layer": {name: layer_results(name, columns, process_group=group) for name in CASES},
        "logits": {name: logits_results(name, columns, process_group=group) for name in CASES},
        "confident": confident(columns, process_group=group),
        "data": data_parallel(rank, world),
        "sharded": sharded(world),
        "layer hessian": {
            name: layer_hessian(name, columns, process_group=group) for name in CASES
        },
        "logits hessian": {
            name: logits_hessian(name, columns, process_group=group) for name in CASES
        },
        "module": module_results(rank, world),
        "module errors": module_errors(world),
        "meshes": meshes(rank, world),
        "fully sharded": fully_sharded(rank, world),
        "statistics": statistics(columns, process_group=group),
        "errors": errors(columns, group),
        "collectives": counted_collectives(columns, group),
    }
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], dies=len(sys.argv) > 2)
