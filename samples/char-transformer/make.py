"""Trains the character transformer on the help texts that come with Python, line by line.

python samples/char-transformer/make.py
"""

from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from nets import build
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
LENGTH = 64
SHORTEST = 9
HELD_OUT = 192
BATCH = 32
STEPS = (0, 100, 500, 2000)
IGNORED = -100


def lines() -> list[str]:
    """The lines of every topic: trimmed, printable ASCII only, without short and repeated ones."""
    texts = [topics[name] for name in sorted(topics)]
    found = ("".join(c for c in line.strip() if " " <= c <= "~") for text in texts for line in text.split("\n"))
    return [line for line in dict.fromkeys(found) if len(line) >= SHORTEST]


def encode(chosen: list[str]) -> dict[str, torch.Tensor]:
    """Tokens 1 … 95 and 0 for padding on the right, the mask, and the next character as the target."""
    tokens = torch.zeros(len(chosen), LENGTH, dtype=torch.int64)
    targets = torch.full((len(chosen), LENGTH), IGNORED)
    for row, line in enumerate(chosen):
        codes = torch.tensor([ord(character) - 31 for character in line[: LENGTH + 1]])
        tokens[row, : len(codes) - 1] = codes[:-1]
        targets[row, : len(codes) - 1] = codes[1:]
    return {"tokens": tokens, "attention_mask": (tokens > 0).to(torch.int64), "targets": targets}


def loss(network: nn.Module, data: dict[str, torch.Tensor]) -> torch.Tensor:
    scores = network(data["tokens"], data["attention_mask"])  # (samples, length, characters)
    return nn.functional.cross_entropy(scores.flatten(0, 1), data["targets"].flatten(), ignore_index=IGNORED)


@torch.no_grad()
def save(network: nn.Module, step: int, held_out: dict[str, torch.Tensor]) -> None:
    bits = loss(network, held_out).item() / np.log(2)
    print(f"| {step} | {bits:.2f} |", flush=True)
    save_file(network.state_dict(), HERE / f"step-{step:05d}.safetensors", metadata={"step": str(step)})


def main() -> None:
    torch.set_num_threads(1)
    found = lines()
    order = np.random.default_rng(0).permutation(len(found))
    held_out = encode([found[place] for place in order[:HELD_OUT]])
    training = encode([found[place] for place in order[HELD_OUT:]])
    np.savez_compressed(HERE / "sample.npz", **{name: array.numpy() for name, array in held_out.items()})
    torch.manual_seed(0)
    network = build(length=LENGTH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.001)
    drawing = torch.Generator().manual_seed(1)
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            save(network, step, held_out)
        chosen = torch.randint(len(training["tokens"]), (BATCH,), generator=drawing)
        optimizer.zero_grad()
        loss(network, {name: array[chosen] for name, array in training.items()}).backward()
        optimizer.step()


if __name__ == "__main__":
    main()
