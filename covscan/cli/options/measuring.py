"""Options of what is measured: the model, the data, how, and on how many processors."""

from covscan.cli.options import panels
from covscan.cli.options.declaring import argument, option
from covscan.config.settings import Settings

DEFAULTS = Settings()

CHECKPOINTS = argument(
    "checkpoints",
    list[str] | None,
    "[CHECKPOINTS]...",
    "Files, folders or globs: .pt .pth .bin .ckpt .safetensors .pt2 .onnx, or a Hugging Face folder.",
)
TWO_SIDES = argument(
    "sides",
    list[str] | None,
    "A B",
    "Two checkpoints or models, each a file or a folder, or two reports: B is compared with A.",
)
ONE_CHECKPOINT = argument("checkpoint", list[str] | None, "CHECKPOINT", "The file to start from.")
RUN_FOLDER = argument(
    "run_dir", str | None, "RUN_DIR", "The folder that the training writes to, or a glob; it need not exist yet."
)
MODEL = option(
    "--model",
    str | None,
    panels.MODEL,
    "file.py:function or package.module:function that returns the untrained network. "
    "Not needed where the checkpoint holds it (ONNX, TorchScript, .pt2, Hugging Face).",
    "FACTORY",
)
MODEL_ARGUMENTS = option(
    "--model-arg",
    list[str] | None,
    panels.MODEL,
    "A keyword argument of the factory; a number, True, None or a list is read as such. Repeatable.",
    "KEY=VALUE",
)
MODEL_OF_SECOND = option(
    "--model-b", str | None, panels.MODEL, "The factory of B, where it is not that of --model.", "FACTORY"
)
MODEL_ARGUMENTS_OF_SECOND = option(
    "--model-b-arg", list[str] | None, panels.MODEL, "As --model-arg, of --model-b. Repeatable.", "KEY=VALUE"
)
TRUST = option("--trust", bool, panels.MODEL, "Unpickle whole modules, which runs code from the checkpoint.")
DATA = option(
    "--data",
    str | None,
    panels.DATA,
    ".npz .npy .pt .safetensors .csv .parquet .arrow .jsonl, a folder of images, "
    "or file.py:function that returns a DataLoader or any iterable.",
    "SOURCE",
)
REFERENCE_DATA = option(
    "--reference-data",
    str | None,
    panels.DATA,
    "Compare --data with these data through one checkpoint, instead of checkpoints with each other.",
    "SOURCE",
)
TARGET = option("--target", str | None, panels.DATA, "The array that holds the labels.", "NAME")
MASK = option("--mask", str | None, panels.DATA, "The array that is 0 where there is padding.", "NAME")
SAMPLES = option("--samples", int, panels.DATA, "Samples to read at most.", "N", default=DEFAULTS.samples, least=1)
BATCH_SIZE = option("--batch-size", int, panels.DATA, "Samples in a batch.", "N", default=DEFAULTS.batch_size, least=1)
SEED = option("--seed", int, panels.DATA, "Chooses the samples and the positions.", "N", default=DEFAULTS.seed)
DEVICE = option(
    "--device", str, panels.MEASUREMENT, "Where to run: auto, cpu, cuda or mps.", "NAME", default=DEFAULTS.device
)
POSITIONS = option(
    "--positions",
    str,
    panels.MEASUREMENT,
    "Pixels or tokens read per sample and site at most.",
    "N|all",
    default=str(DEFAULTS.positions),
)
SITES = option("--sites", list[str] | None, panels.MEASUREMENT, "Measure only these. Repeatable.", "GLOB")
EXCLUDE = option("--exclude", list[str] | None, panels.MEASUREMENT, "Leave these out. Repeatable.", "GLOB")
TRAIN_BATCH_SIZE = option(
    "--train-batch-size",
    int | None,
    panels.MEASUREMENT,
    "Batch size of the training, per device: decides which normalizations are possible.",
    "N",
    least=1,
)
PER_CHANNEL = option("--per-channel", bool, panels.MEASUREMENT, "Write per-channel statistics to the JSON report.")
LOSS = option(
    "--loss",
    str | None,
    panels.EVIDENCE,
    "What is trained for: cross_entropy, mse, bce, or file.py:function of output and target. "
    "With it, suggestions rest on short trainings.",
    "LOSS",
)
OPTIMIZER = option(
    "--optimizer",
    str | None,
    panels.EVIDENCE,
    "What you train with: sgd, momentum, adam, adamw, rmsprop, or file.py:function of parameters and rate.",
    "NAME",
)
LEARNING_RATE = option("--lr", float | None, panels.EVIDENCE, "The learning rate that you train with.", "RATE")
EVIDENCE_TIER = option(
    "--evidence",
    str | None,
    panels.EVIDENCE,
    "Go no further than forward, gradient, probe or trial; without it as far as the input allows.",
    "TIER",
)
TRIAL_STEPS = option(
    "--trial-steps",
    int | None,
    panels.EVIDENCE,
    "Training steps to spend at most; without it what a few minutes allow.",
    "N",
    least=1,
)
TRAIN_SAMPLES = option(
    "--train-samples",
    int,
    panels.EVIDENCE,
    "Samples that the trainings draw from at most.",
    "N",
    default=DEFAULTS.train_samples,
    least=2,
)
JOBS = option(
    "--jobs -j",
    int,
    panels.COMPUTING,
    "Measure so many checkpoints at once, each in a process of its own. The report is the same.",
    "N",
    default=DEFAULTS.jobs,
    least=1,
)
THREADS = option(
    "--threads",
    int | None,
    panels.COMPUTING,
    "Threads that compute in each process; without it one for each core. Sums round by it, in the last digits.",
    "N",
    least=1,
)
CACHE = option(
    "--cache/--no-cache",
    bool,
    panels.COMPUTING,
    "Keep what was measured, and measure only what is new. See 'covscan cache'.",
    default=True,
)
INTERVAL = option(
    "--interval",
    float,
    panels.WATCHING,
    "Look so often; a checkpoint must stay as it is for as long.",
    "SECONDS",
    default=5.0,
)
UNTIL = option("--until", int | None, panels.WATCHING, "End once so many checkpoints are measured.", "N", least=1)
IDLE = option("--idle", float | None, panels.WATCHING, "End once nothing new came for so long.", "SECONDS")

FACTORY = MODEL, MODEL_ARGUMENTS, TRUST
SAMPLED = TARGET, MASK, SAMPLES, BATCH_SIZE, SEED, DEVICE
TAPPED = POSITIONS, SITES, EXCLUDE
TRAINED = TRAIN_BATCH_SIZE, LOSS, OPTIMIZER, LEARNING_RATE, EVIDENCE_TIER, TRIAL_STEPS, TRAIN_SAMPLES
COMPUTED = JOBS, THREADS, CACHE

# What a series of checkpoints is measured with, and what two data sets through one checkpoint are.
SERIES = *FACTORY, DATA, *SAMPLED, *TAPPED, *TRAINED
SERIES_OR_DATA = *FACTORY, DATA, REFERENCE_DATA, *SAMPLED, *TAPPED, *TRAINED
