"""The commands that put a normalization somewhere: for good, or to see what it gains."""

import typer

from covscan.cli.options import measuring, placing, showing
from covscan.cli.options.declaring import Chosen, command

app = typer.Typer()


@command(
    app,
    measuring.ONE_CHECKPOINT,
    *placing.PLACE,
    *measuring.FACTORY,
    measuring.DATA,
    *measuring.SAMPLED,
    placing.WRITTEN,
    placing.WRITTEN_CODE,
    showing.SHORT_FORMAT,
    *showing.COLORS,
    *showing.SETTINGS_FILE,
    short_help="Put a normalization into a checkpoint, its function unchanged.",
    epilog="""\b
Examples:
  covscan insert --model nets.py:build --data sample.npz --site fc3 \\
      --norm BatchNorm1d ckpt-40.pt -o fc3-bn.pt
  covscan insert --data sample.npz --site conv2d_1 --position before \\
      --norm GroupNorm model.onnx -o with-norm.onnx
  covscan insert --model nets.py:build --data sample.npz \\
      --report report.json ckpt-40.pt -o fc3-bn.pt
\b
Exit codes:
  0 written, function unchanged   1 written, but the outputs differ
  2 something to correct, nothing written   3 a bug in covscan""",
)
def insert(chosen: Chosen) -> int:
    """Put a normalization into a checkpoint so that the network computes what it did, and verify that.

    A PyTorch checkpoint becomes a state_dict and a file with the factory that takes it; an ONNX file becomes another.
    """
    from covscan.cli.insert import run

    return run(chosen.words, chosen.given)


@command(
    app,
    measuring.CHECKPOINTS,
    *placing.PLACE,
    *measuring.FACTORY,
    measuring.DATA,
    measuring.TARGET,
    measuring.MASK,
    measuring.SAMPLES.replace(default=measuring.TRAIN_SAMPLES.default),
    measuring.BATCH_SIZE,
    measuring.TRAIN_BATCH_SIZE,
    measuring.SEED,
    measuring.DEVICE,
    measuring.LOSS,
    measuring.OPTIMIZER,
    measuring.LEARNING_RATE,
    placing.SEEDS,
    placing.STEPS,
    placing.RATES,
    placing.RESUME,
    placing.EXPECT_GAIN,
    placing.PROOF_PATH,
    showing.SHORT_FORMAT,
    showing.QUIET,
    *showing.COLORS,
    *showing.SETTINGS_FILE,
    short_help="Train with and without a normalization, and say what it gains.",
    epilog="""\b
Examples:
  covscan prove --model nets.py:build --data sample.npz --target y \\
      --loss cross_entropy --optimizer sgd --lr 0.1 \\
      --site fc3 --norm BatchNorm1d runs/ckpt-0.pt
  covscan prove --model nets.py:build --data sample.npz --target y \\
      --loss cross_entropy --report report.json --resume proof.jsonl \\
      --expect-gain 5 runs/ckpt-*.pt

\b
Exit codes:
  0 completed   1 gains less than --expect-gain   2 something to correct
  3 a bug in covscan   130 interrupted""",
)
def prove(chosen: Chosen) -> int:
    """Train a little with and without a normalization, over learning rates and seeds, and say what it gains."""
    from covscan.cli.prove import run

    return run(chosen.words, chosen.given)
