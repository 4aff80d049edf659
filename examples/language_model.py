"""A small language model of transformers, trained a few steps with its own loss and with ours.

It prints the loss of each step, and the time and the peak of memory of a step. Needs
`pip install "crossent[torch]" transformers`; nothing is downloaded.

    python examples/language_model.py --vocabulary 32000 --tokens 1024
"""

import argparse
import copy

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from crossent.bench import measure_together
from crossent.torch.integrations.transformers import patch


def train_step(model, optimizer, tokens):
    optimizer.zero_grad()
    loss = model(input_ids=tokens, labels=tokens).loss
    loss.backward()
    optimizer.step()
    return loss.item()


def main():
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--vocabulary", type=int, default=8000)
    options.add_argument("--tokens", type=int, default=512)
    options.add_argument("--width", type=int, default=64)
    options.add_argument("--steps", type=int, default=4)
    given = options.parse_args()

    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=given.vocabulary, hidden_size=given.width,
                         intermediate_size=2 * given.width, num_hidden_layers=2,
                         num_attention_heads=4, use_cache=False)  # fmt: skip
    model = LlamaForCausalLM(config).train()
    models = {"its own loss": model, "crossent's": patch(copy.deepcopy(model))}
    optimizers = {k: torch.optim.SGD(m.parameters(), lr=0.1) for k, m in models.items()}
    tokens = torch.randint(0, given.vocabulary, (4, given.tokens // 4))

    print("step", *models, sep="  ")
    for step in range(given.steps):
        losses = [train_step(models[name], optimizers[name], tokens) for name in models]
        assert abs(losses[1] - losses[0]) < 1e-4 * losses[0]
        print(f"{step:4}", *(f"{loss:.6f}" for loss in losses), sep="  ")
    steps = {
        name: lambda name=name: train_step(models[name], optimizers[name], tokens)
        for name in models
    }
    for name, (seconds, peak) in measure_together(steps, rounds=3).items():
        print(f"{name:13} {1e3 * seconds:7.0f} ms a step,", f"peak {(peak or 0) / 2**20:6.0f} MiB")


if __name__ == "__main__":
    main()
