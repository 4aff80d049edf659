"""Language models of transformers, trained a few steps with their own loss and with ours."""

import copy
import functools
import inspect
import io

import pytest
import torch

from crossent.bench import peak_bytes
from crossent.torch.integrations.transformers import patch, unpatch

transformers = pytest.importorskip("transformers")

VOCABULARY = 211


def llama(**options):
    sizes = {"vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 32,
             "num_hidden_layers": 1, "num_attention_heads": 2}  # fmt: skip
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**(sizes | options)))


def gpt2(**options):
    sizes = {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64,
             "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}  # fmt: skip
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**(sizes | options)))


def both(make, **options):
    """Return a model and a patched copy of it, ready to train."""
    torch.manual_seed(0)
    model = make(**options).train()
    return model, patch(copy.deepcopy(model))


def batch(rows=3, length=12, vocabulary=VOCABULARY, seed=1):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, vocabulary, (rows, length), generator=generator)
    labels = tokens.clone()
    labels[0, :5] = -100  # as a prompt is left out
    return {"input_ids": tokens, "labels": labels}


def same_gradients(ours, theirs):
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=2e-4, atol=2e-6, msg=name)


each_model = pytest.mark.parametrize("make", [llama, gpt2])


@each_model
def test_training_is_the_same(make):
    theirs, ours = both(make)
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.5) for model in (theirs, ours)]
    for step in range(4):
        losses = []
        for model, optimizer in zip((theirs, ours), optimizers, strict=True):
            optimizer.zero_grad()
            loss = model(**batch(seed=step)).loss
            loss.backward()
            losses.append(loss.detach())
        torch.testing.assert_close(losses[1], losses[0], rtol=1e-5, atol=0)
        same_gradients(ours, theirs)
        for optimizer in optimizers:
            optimizer.step()


@each_model
def test_accumulated_gradients_know_the_number_of_items(make):
    """Parts with different numbers of tokens add up to the whole, not to a mean of means."""
    theirs, ours = both(make)
    whole = batch(rows=4)
    items = (whole["labels"][:, 1:] != -100).sum()
    theirs(**whole).loss.backward()
    for rows in (slice(0, 1), slice(1, 4)):
        part = {name: tensor[rows] for name, tensor in whole.items()}
        ours(**part, num_items_in_batch=items).loss.backward()
    same_gradients(ours, theirs)


@each_model
def test_without_labels_and_in_evaluation_nothing_changes(make):
    theirs, ours = both(make)
    tokens = batch()["input_ids"]
    torch.testing.assert_close(ours(tokens).logits, theirs(tokens).logits, rtol=0, atol=0)
    output, due = ours.eval()(**batch()), theirs.eval()(**batch())
    assert output.loss == due.loss
    assert torch.equal(output.logits, due.logits)
    assert ours.generate(tokens[:1], max_new_tokens=2, pad_token_id=0).shape == (1, 14)


def test_the_logits_are_not_there():
    _, ours = both(llama)
    assert ours(**batch()).logits is None
    assert len(ours(**batch(), return_dict=False)) >= 1
    assert ours(**batch(), return_dict=False)[0].ndim == 0


def test_a_trainer_sees_the_same_signature():
    theirs, ours = both(llama)
    assert inspect.signature(ours.forward) == inspect.signature(theirs.forward)


@each_model
def test_a_copy_of_a_patched_model_runs_itself(make):
    """And so does one that was saved and loaded: each has its own weights and is undone by itself.

    A function in the place of `forward` would go on running the model that it was made for.
    """
    _, ours = both(make)
    file = io.BytesIO()
    torch.save(ours, file)
    file.seek(0)
    due = ours(**batch()).loss
    for again in (copy.deepcopy(ours), torch.load(file, weights_only=False)):
        assert again(**batch()).loss == due
        assert inspect.signature(again.forward) == inspect.signature(ours.forward)
        with torch.no_grad():
            again.lm_head.weight.zero_()
        torch.testing.assert_close(again(**batch()).loss, torch.tensor(VOCABULARY).log())
        assert unpatch(again)(**batch()).logits is not None
    assert ours(**batch()).loss == due
    assert ours(**batch()).logits is None


@each_model
def test_labels_may_come_by_position(make):
    theirs, ours = both(make)
    given = batch()
    place = [*inspect.signature(theirs.forward).parameters].index("labels")
    arguments = [given["input_ids"], *[None] * (place - 1), given["labels"]]
    output = ours(*arguments)
    assert output.logits is None
    torch.testing.assert_close(output.loss, theirs(*arguments).loss)


@each_model
def test_a_head_tied_to_the_embedding_gets_both_gradients(make):
    theirs, ours = both(make, tie_word_embeddings=True)
    assert ours.lm_head.weight is ours.get_input_embeddings().weight
    for model in (theirs, ours):
        model(**batch()).loss.backward()
    same_gradients(ours, theirs)


@each_model
def test_labels_shifted_by_the_caller_and_batches_without_labels(make):
    theirs, ours = both(make)
    shifted = batch()["labels"].roll(-1, dims=1)
    given = batch() | {"shift_labels": shifted}
    torch.testing.assert_close(ours(**given).loss, theirs(**given).loss)
    none = batch() | {"labels": torch.full_like(shifted, -100)}
    assert ours(**none).loss.isnan()
    assert theirs(**none).loss.isnan()


def test_checkpoints_autocast_and_the_compiler_see_the_same_loss():
    theirs, ours = both(llama)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(ours(**batch()).loss, theirs(**batch()).loss, rtol=2e-3, atol=0)
    due = theirs(**batch()).loss
    compiled = torch.compile(ours, backend="aot_eager")
    torch.testing.assert_close(compiled(**batch()).loss, due)
    ours.gradient_checkpointing_enable()
    for model in (theirs, ours):
        model(**batch()).loss.backward()
    same_gradients(ours, theirs)


def test_what_was_patched_is_undone():
    theirs, ours = both(llama)
    with pytest.raises(ValueError, match="patched already"):
        patch(ours)
    unpatch(ours)
    assert torch.equal(ours(**batch()).logits, theirs(**batch()).logits)
    with pytest.raises(ValueError, match="not patched"):
        unpatch(ours)
    with pytest.raises(TypeError, match="linear head"):
        patch(torch.nn.Linear(2, 3))
    assert ours.state_dict().keys() == theirs.state_dict().keys()


def test_a_model_that_bends_its_logits_is_refused():
    """Gemma's softcap lies between head and loss: its loss would be another."""
    config = transformers.Gemma2Config(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    model = patch(transformers.Gemma2ForCausalLM(config).train())
    with pytest.raises(NotImplementedError, match="changes its logits"):
        model(**batch())
    unpatch(model)
    assert model(**batch()).loss.isfinite()


def test_the_peak_of_memory_is_lower():
    theirs, ours = both(llama, vocab_size=40_000)
    given = batch(rows=8, length=96, vocabulary=40_000)

    def step(model):
        model.zero_grad()
        model(**given).loss.backward()

    peaks = [peak_bytes(functools.partial(step, model)) for model in (theirs, ours)]
    if None in peaks:
        pytest.skip("only Linux tells the peak of a call")
    assert peaks[1] < 0.6 * peaks[0], peaks
