"""Classes and rows over ranks: real processes, torchrun and gloo, against one process."""

import os
import pathlib
import subprocess
import sys
import time

import pytest
import torch

from tests.pytorch import ranks

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(world, folder, *arguments):
    """Run the program of `ranks` on several processes, and return how it ended."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts=0",
         f"--nproc-per-node={world}", "-m", "tests.pytorch.ranks", str(folder), *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module", params=[2, 3], ids=["two ranks", "three ranks"])
def found(request, tmp_path_factory):
    """Return what each rank found."""
    folder = tmp_path_factory.mktemp("ranks")
    ended = run(request.param, folder)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(request.param)]


def same(got, due):
    """Compare to the last bits in float64, up to the order of sums."""
    torch.testing.assert_close(got, due, rtol=5e-14, atol=5e-15)


def joined(found, kind, name, what, axis):
    return torch.cat([rank[kind][name][what] for rank in found], dim=axis)


@pytest.mark.parametrize("name", ranks.CASES)
def test_a_layer_over_ranks_is_the_layer(found, name):
    due = ranks.layer_results(name)
    for rank in found:
        same(rank["layer"][name]["loss"], due["loss"])
        same(rank["layer"][name]["inputs"], due["inputs"])
    same(joined(found, "layer", name, "weight", 0), due["weight"])
    same(joined(found, "layer", name, "bias", 0), due["bias"])


@pytest.mark.parametrize("name", ranks.CASES)
def test_logits_over_ranks_are_the_logits(found, name):
    due = ranks.logits_results(name)
    for rank in found:
        same(rank["logits"][name]["loss"], due["loss"])
    same(joined(found, "logits", name, "logits", 0), due["logits"])


def test_nothing_cancels_between_ranks(found):
    due = ranks.confident()
    assert 0 < due["loss"] < 1e-7
    for rank in found:
        torch.testing.assert_close(rank["confident"]["loss"], due["loss"], rtol=3e-7, atol=0)
    logits = torch.cat([rank["confident"]["logits"] for rank in found], dim=1)
    torch.testing.assert_close(logits, due["logits"], rtol=3e-7, atol=0)


def test_a_mean_over_the_rows_of_all_ranks(found):
    torch.manual_seed(0)
    model = torch.nn.Linear(ranks.D, ranks.K).double()
    loss = ranks.ct.cross_entropy(
        model(ranks.X), ranks.LABELS, sample_weight=ranks.SAMPLE_WEIGHT,
        class_weight=ranks.CLASS_WEIGHT, ignore_index=int(ranks.LABELS[0]),
    )  # fmt: skip
    loss.backward()
    for rank in found:
        same(rank["data"]["losses"], loss.detach().expand(2))
        same(rank["data"]["weight"], model.weight.grad)
        same(rank["data"]["bias"], model.bias.grad)


def test_sharded_weights_are_understood(found):
    weight = ranks.WEIGHT.clone().requires_grad_()
    loss = ranks.ct.linear_cross_entropy(ranks.X, weight, ranks.LABELS)
    loss.backward()
    for rank in found:
        same(rank["sharded"]["loss"], loss.detach())
        same(rank["sharded"]["weight"], weight.grad)


def test_statistics_over_ranks_are_the_statistics(found):
    due = ranks.statistics()
    for rank in found:
        for got, right in zip(rank["statistics"], due, strict=True):
            for a, b in zip(got, right, strict=True):
                same(a, b)


def test_every_rank_refuses_a_label_that_no_rank_has(found):
    for rank in found:
        assert len(rank["errors"]) == 2
        for said, label in zip(rank["errors"], (-1, ranks.K), strict=True):
            assert f"labels[1] is {label}, but there are {ranks.K} classes (0 ... 8)" in said


def test_three_collectives_forward_and_one_backward(found):
    assert [rank["collectives"] for rank in found] == [[3, 1]] * len(found)


def test_a_rank_that_dies_makes_the_others_fail(tmp_path):
    start = time.monotonic()
    ended = run(2, tmp_path, "dies")
    assert ended.returncode != 0
    assert time.monotonic() - start < 60
    for name, said in zip(
        ("process_group", "data_group"), torch.load(tmp_path / "0.pt"), strict=True
    ):
        assert f"a rank of {name} did not take part" in said


@pytest.mark.parametrize("name", ranks.CASES)
def test_second_derivatives_over_ranks_are_those_of_one(found, name):
    due = ranks.layer_hessian(name)
    for rank in found:
        same(rank["layer hessian"][name]["inputs"], due["inputs"])
        same(rank["layer hessian"][name]["g"], due["g"])
    for what in ("weight", "bias"):
        same(joined(found, "layer hessian", name, what, 0), due[what])
    logits = torch.cat([rank["logits hessian"][name] for rank in found], dim=1)
    same(logits, ranks.logits_hessian(name))


@pytest.mark.parametrize("split", ["even", "uneven"])
def test_a_module_holds_its_part(found, split):
    whole = ranks.whole_module()
    due = whole(ranks.X, ranks.LABELS)
    due.backward()
    losses, weights, biases, classes = zip(*(rank["module"][split] for rank in found), strict=True)
    for loss in losses:
        same(loss, due.detach())
    same(torch.cat(weights), whole.linear.weight.grad)
    same(torch.cat(biases), whole.linear.bias.grad)
    world = len(found)
    sizes = [here.stop - here.start for here in classes]
    assert sizes == (ranks.SPLITS[world] if split == "uneven" else {2: [5, 4], 3: [3, 3, 3]}[world])
    criterion = ranks.nn.CrossEntropyLoss(ranks.CLASS_WEIGHT)
    z = ranks.X @ whole.linear.weight.detach().T
    same(found[0]["module"]["criterion"], criterion(z, ranks.LABELS))


def test_ranks_with_one_seed_draw_different_rows(found):
    rows = torch.cat([rank["module"]["drawn"] for rank in found])
    assert len(rows.unique(dim=0)) == ranks.K


def test_modules_that_cannot_be_are_refused_on_every_rank(found):
    for rank in found:
        few, many = rank["module errors"]
        assert "1 classes cannot be split over" in few
        assert f"sum to {len(found) * ranks.K}, but num_classes is {ranks.K}" in many


def test_meshes_of_data_and_classes(found):
    weight = ranks.WEIGHT.clone().requires_grad_()
    loss = ranks.ct.linear_cross_entropy(ranks.X, weight, ranks.LABELS)
    loss.backward()
    for rank in found:
        for name in ("classes", "data"):
            value, gradient = rank["meshes"][name]
            same(value, loss.detach())
            same(gradient, weight.grad)
        assert "pass data_group=mesh.get_group(0)" in rank["meshes"]["error"]


def test_a_mesh_of_two_by_two(tmp_path):
    """Classes over two ranks, rows over two: each half of the classes on each half of the rows."""
    ended = run(4, tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=False) for rank in range(4)]
    x, weight = (t.clone().requires_grad_() for t in (ranks.X, ranks.WEIGHT))
    due = ranks.ct.linear_cross_entropy(
        x, weight, ranks.LABELS, class_weight=ranks.CLASS_WEIGHT, sample_weight=ranks.SAMPLE_WEIGHT,
        ignore_index=int(ranks.LABELS[0]),
    )  # fmt: skip
    due.backward()
    for rank in found:
        same(rank["loss"], due.detach())
        same(rank["weight"], weight.grad)
        same(rank["inputs"], 2 * x.grad[rank["rows"]])  # of a mean whose mean over data is wanted


def test_parameters_sharded_for_storage(found):
    """FullyShardedDataParallel: gathered within forward, and refused as classes outside of it."""
    model = ranks.Network()
    due = model(ranks.X, ranks.LABELS)
    due.backward()
    for rank in found:
        same(rank["fully sharded"]["loss"], due.detach())
        for name, parameter in model.named_parameters():
            same(rank["fully sharded"]["gradients"][name], parameter.grad)
        other_labels, other_rows = rank["fully sharded"]["outside"]
        assert "must have the same rows and labels" in other_labels
        assert f"have {[*range(2, 2 + len(found))]} rows, but must have the same" in other_rows


def third(z, group):
    loss = ranks.ct.cross_entropy(z, torch.tensor([0, 1]), process_group=group)
    (gradient,) = torch.autograd.grad(loss, z, create_graph=True)
    (product,) = torch.autograd.grad(gradient.square().sum(), z, create_graph=True)
    product.sum().backward()


def forward_mode(z, group):
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(z.detach(), torch.ones_like(z))
        ranks.ct.cross_entropy(dual, torch.tensor([0, 1]), process_group=group)


def functional(z, group):
    torch.func.grad(lambda z: ranks.ct.cross_entropy(z, torch.tensor([0, 1]), process_group=group))(
        z.detach()
    )


def compiled(z, group):
    def loss(z):
        return 2.0 * ranks.ct.cross_entropy(3.0 * z, torch.tensor([0, 1]), process_group=group)

    torch._dynamo.reset()
    (got,) = torch.autograd.grad(torch.compile(loss, backend="aot_eager")(z), z)
    torch.testing.assert_close(got, torch.autograd.grad(loss(z), z)[0], rtol=0, atol=0)
    torch._dynamo.reset()
    torch.compile(loss, backend="aot_eager", fullgraph=True)(z)


@pytest.mark.parametrize(("mode", "said"), [
    (compiled, "left out of the graph"),
    (third, "two derivatives, and create_graph asks for a third"),
    (forward_mode, "no forward mode and no torch.func"),
    (functional, "no forward mode and no torch.func"),
])  # fmt: skip
def test_what_is_not_there_over_ranks_is_refused(mode, said):
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0,
                                         world_size=1)  # fmt: skip
    try:
        with pytest.raises((NotImplementedError, RuntimeError), match=said):
            mode(torch.zeros(2, 3, requires_grad=True), torch.distributed.group.WORLD)
    finally:
        torch.distributed.destroy_process_group()
