"""The options that several commands share, with their help."""

from typing import Annotated

import typer

from covscan.render import FORMATS

MODEL, DATA, MEASUREMENT, EVIDENCE, OUTPUT = "Model", "Sample data", "Measurement", "Evidence", "Output"
COMPUTING, WATCHING = "Computing", "Watching"
NORMALIZATION, VERDICT, BASELINE = "Normalization", "Verdict", "Baseline"

Checkpoints = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CHECKPOINTS]...",
        help="Files, folders or globs: .pt .pth .bin .ckpt .safetensors .pt2 .onnx, or a Hugging Face folder.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="FACTORY",
        rich_help_panel=MODEL,
        help="file.py:function or package.module:function that returns the untrained network. "
        "Not needed where the checkpoint holds it (ONNX, TorchScript, .pt2, Hugging Face).",
    ),
]
ModelArguments = Annotated[
    list[str] | None,
    typer.Option(
        "--model-arg",
        metavar="KEY=VALUE",
        rich_help_panel=MODEL,
        help="A keyword argument of the factory; a number, True, None or a list is read as such. Repeatable.",
    ),
]
Trust = Annotated[
    bool,
    typer.Option("--trust", rich_help_panel=MODEL, help="Unpickle whole modules, which runs code from the checkpoint."),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="SOURCE",
        rich_help_panel=DATA,
        help=".npz .npy .pt .safetensors .csv .parquet .arrow .jsonl, a folder of images, "
        "or file.py:function that returns a DataLoader or any iterable.",
    ),
]
ReferenceData = Annotated[
    str | None,
    typer.Option(
        "--reference-data",
        metavar="SOURCE",
        rich_help_panel=DATA,
        help="Compare --data with these data through one checkpoint, instead of checkpoints with each other.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="NAME", rich_help_panel=DATA, help="The array that holds the labels."),
]
Mask = Annotated[
    str | None,
    typer.Option("--mask", metavar="NAME", rich_help_panel=DATA, help="The array that is 0 where there is padding."),
]
Samples = Annotated[
    int, typer.Option("--samples", min=1, metavar="N", rich_help_panel=DATA, help="Samples to read at most.")
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", min=1, metavar="N", rich_help_panel=DATA, help="Samples in a batch.")
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="N", rich_help_panel=DATA, help="Chooses the samples and the positions."),
]
Device = Annotated[
    str,
    typer.Option("--device", metavar="NAME", rich_help_panel=MEASUREMENT, help="Where to run: auto, cpu, cuda or mps."),
]
Positions = Annotated[
    str,
    typer.Option(
        "--positions",
        metavar="N|all",
        rich_help_panel=MEASUREMENT,
        help="Pixels or tokens read per sample and site at most.",
    ),
]
Sites = Annotated[
    list[str] | None,
    typer.Option("--sites", metavar="GLOB", rich_help_panel=MEASUREMENT, help="Measure only these. Repeatable."),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", rich_help_panel=MEASUREMENT, help="Leave these out. Repeatable."),
]
TrainBatchSize = Annotated[
    int | None,
    typer.Option(
        "--train-batch-size",
        min=1,
        metavar="N",
        rich_help_panel=MEASUREMENT,
        help="Batch size of the training, per device: decides which normalizations are possible.",
    ),
]
Loss = Annotated[
    str | None,
    typer.Option(
        "--loss",
        metavar="LOSS",
        rich_help_panel=EVIDENCE,
        help="What is trained for: cross_entropy, mse, bce, or file.py:function of output and target. "
        "With it, suggestions rest on short trainings.",
    ),
]
Optimizer = Annotated[
    str | None,
    typer.Option(
        "--optimizer",
        metavar="NAME",
        rich_help_panel=EVIDENCE,
        help="What you train with: sgd, momentum, adam, adamw, rmsprop, or file.py:function of parameters and rate.",
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option("--lr", metavar="RATE", rich_help_panel=EVIDENCE, help="The learning rate that you train with."),
]
EvidenceTier = Annotated[
    str | None,
    typer.Option(
        "--evidence",
        metavar="TIER",
        rich_help_panel=EVIDENCE,
        help="Go no further than forward, gradient, probe or trial; without it as far as the input allows.",
    ),
]
TrialSteps = Annotated[
    int | None,
    typer.Option(
        "--trial-steps",
        min=1,
        metavar="N",
        rich_help_panel=EVIDENCE,
        help="Training steps to spend at most; without it what a few minutes allow.",
    ),
]
TrainSamples = Annotated[
    int,
    typer.Option(
        "--train-samples",
        min=2,
        metavar="N",
        rich_help_panel=EVIDENCE,
        help="Samples that the trainings draw from at most.",
    ),
]
PerChannel = Annotated[
    bool,
    typer.Option("--per-channel", rich_help_panel=MEASUREMENT, help="Write per-channel statistics to the JSON report."),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        metavar="N",
        rich_help_panel=COMPUTING,
        help="Measure so many checkpoints at once, each in a process of its own. The report is the same.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        metavar="N",
        rich_help_panel=COMPUTING,
        help="Threads that compute in each process; without it one for each core. Sums round by it, in the last "
        "digits.",
    ),
]
Cache = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache",
        rich_help_panel=COMPUTING,
        help="Keep what was measured, and measure only what is new. See 'covscan cache'.",
    ),
]
RunFolder = Annotated[
    str | None,
    typer.Argument(metavar="RUN_DIR", help="The folder that the training writes to, or a glob; it need not exist yet."),
]
Interval = Annotated[
    float,
    typer.Option(
        "--interval",
        metavar="SECONDS",
        rich_help_panel=WATCHING,
        help="Look so often; a checkpoint must stay as it is for as long.",
    ),
]
Until = Annotated[
    int | None,
    typer.Option(
        "--until", min=1, metavar="N", rich_help_panel=WATCHING, help="End once so many checkpoints are measured."
    ),
]
Idle = Annotated[
    float | None,
    typer.Option("--idle", metavar="SECONDS", rich_help_panel=WATCHING, help="End once nothing new came for so long."),
]
Clear = Annotated[bool, typer.Option("--clear", help="Remove everything that is kept.")]
ConfigPath = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="Read settings from this file; without it from the covscan.toml, or the pyproject.toml with "
        "[tool.covscan], of this folder or the nearest one above it in the repository.",
    ),
]
NoConfig = Annotated[bool, typer.Option("--no-config", help="Read no file: flags and defaults alone.")]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        rich_help_panel=OUTPUT,
        help=f"What standard output gets: {', '.join(FORMATS)}.",
    ),
]
ShortFormat = Annotated[
    str,
    typer.Option("--format", "-f", metavar="FORMAT", rich_help_panel=OUTPUT, help="text or json."),
]
PlainFormat = Annotated[
    str,
    typer.Option("--format", "-f", metavar="FORMAT", rich_help_panel=OUTPUT, help="text, json or markdown."),
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output", "-o", metavar="FORMAT=PATH", rich_help_panel=OUTPUT, help="Write a file as well. Repeatable."
    ),
]
FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        metavar="SEVERITY",
        rich_help_panel=VERDICT,
        help="Exit with 1 at a finding of this severity or a higher one: error, warning, info or never.",
    ),
]
Select = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="CODES",
        rich_help_panel=VERDICT,
        help="Count findings with these codes alone, for example COV2*,COV4*. Repeatable.",
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="CODES",
        rich_help_panel=VERDICT,
        help="Don't count findings with these codes; they stay in the report. Repeatable.",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        rich_help_panel=VERDICT,
        help="Budgets to start from: standard (the default), strict, finetune or none.",
    ),
]
MinSamples = Annotated[
    int | None,
    typer.Option(
        "--min-samples",
        min=1,
        metavar="N",
        rich_help_panel=VERDICT,
        help="With fewer samples no budget is judged (64 without it).",
    ),
]
JudgedReport = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="REPORT.json",
        rich_help_panel=VERDICT,
        help="Judge what analyze -o json=PATH wrote, without measuring; - reads standard input.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", rich_help_panel=OUTPUT, help="No progress; findings and errors stay.")
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", rich_help_panel=OUTPUT, help="Every site, every measure, nothing cut short."),
]
Plots = Annotated[
    list[str] | None,
    typer.Option(
        "--plot",
        metavar="SITE",
        rich_help_panel=OUTPUT,
        help="Draw how the 15th, 50th and 85th percentile of these sites move: a name or a glob, with :in or :out "
        "for one side of a module. Repeatable.",
    ),
]
Color = Annotated[
    str,
    typer.Option("--color", metavar="WHEN", rich_help_panel=OUTPUT, help="auto, always or never."),
]
NoColor = Annotated[bool, typer.Option("--no-color", rich_help_panel=OUTPUT, help="The same as --color never.")]
Site = Annotated[
    str | None,
    typer.Option(
        "--site", metavar="NAME", rich_help_panel=NORMALIZATION, help="A module, or a value of an ONNX graph."
    ),
]
Side = Annotated[
    str | None,
    typer.Option(
        "--position",
        metavar="WHERE",
        rich_help_panel=NORMALIZATION,
        help="after (on its output, the default) or before (on its first input).",
    ),
]
Norm = Annotated[
    str | None,
    typer.Option(
        "--norm",
        metavar="KIND",
        rich_help_panel=NORMALIZATION,
        help="BatchNorm, LayerNorm, RMSNorm, GroupNorm or InstanceNorm; BatchNorm1d and so on are understood as well.",
    ),
]
FromReport = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="REPORT.json",
        rich_help_panel=NORMALIZATION,
        help="Take place and kind from the first suggestion of this report.",
    ),
]
Rank = Annotated[
    int | None,
    typer.Option("--rank", min=1, metavar="N", rich_help_panel=NORMALIZATION, help="Take suggestion N instead."),
]
Written = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="PATH", rich_help_panel=OUTPUT, help="The file to write."),
]
WrittenCode = Annotated[
    str | None,
    typer.Option(
        "--code",
        metavar="PATH",
        rich_help_panel=OUTPUT,
        help="Where the factory that takes the weights goes; the name of -o with .py without it.",
    ),
]
OneCheckpoint = Annotated[list[str] | None, typer.Argument(metavar="CHECKPOINT", help="The file to start from.")]


Seeds = Annotated[
    int, typer.Option("--seeds", min=1, metavar="N", rich_help_panel=EVIDENCE, help="How often to repeat.")
]
Steps = Annotated[int, typer.Option("--steps", min=2, metavar="N", rich_help_panel=EVIDENCE, help="Of each training.")]
Rates = Annotated[
    int,
    typer.Option("--rates", min=3, metavar="N", rich_help_panel=EVIDENCE, help="Learning rates, sqrt(10) apart."),
]
Resume = Annotated[
    str | None,
    typer.Option(
        "--resume",
        metavar="PATH",
        rich_help_panel=EVIDENCE,
        help="Keep each finished training in this file, and do not repeat those that are there.",
    ),
]
ExpectGain = Annotated[
    float | None,
    typer.Option(
        "--expect-gain",
        metavar="PERCENT",
        rich_help_panel=EVIDENCE,
        help="Exit with 1 unless the lower end of the gain's interval is at least this.",
    ),
]
ProofPath = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="PATH", rich_help_panel=OUTPUT, help="Write the proof as JSON."),
]

GivenReport = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="REPORT.json",
        rich_help_panel=BASELINE,
        help="Take this report of analyze -o json=PATH instead of measuring; - reads standard input.",
    ),
]
BaselinePath = Annotated[
    str | None,
    typer.Option(
        "--baseline", metavar="PATH", rich_help_panel=BASELINE, help="The baseline; covscan-baseline.json without it."
    ),
]
BaselineRevision = Annotated[
    str | None,
    typer.Option(
        "--baseline-rev",
        metavar="REVISION",
        rich_help_panel=BASELINE,
        help="Read the baseline as it is in this git revision, for example origin/main.",
    ),
]
BaselineOutput = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        rich_help_panel=BASELINE,
        help="The file to write; covscan-baseline.json without it.",
    ),
]
Force = Annotated[bool, typer.Option("--force", rich_help_panel=BASELINE, help="Replace a baseline that is there.")]
ComparedMeasures = Annotated[
    list[str] | None,
    typer.Option(
        "--measure",
        metavar="GLOB",
        rich_help_panel=BASELINE,
        help="Measures of shift to compare, in place of the usual four. Repeatable.",
    ),
]
ComparedStatistics = Annotated[
    list[str] | None,
    typer.Option(
        "--statistic",
        metavar="GLOB",
        rich_help_panel=BASELINE,
        help="Statistics of the last checkpoint to compare, in place of dead_channels, saturated_share and "
        "nonfinite_share. Repeatable.",
    ),
]
Relative = Annotated[
    float | None,
    typer.Option(
        "--relative",
        min=0,
        metavar="SHARE",
        rich_help_panel=BASELINE,
        help="Bear this share of the baseline's value instead of the measured noise; 0.1 is a tenth.",
    ),
]
Absolute = Annotated[
    float | None,
    typer.Option(
        "--absolute", min=0, metavar="SIZE", rich_help_panel=BASELINE, help="The same, in the unit of the measure."
    ),
]
Accept = Annotated[
    bool,
    typer.Option(
        "--accept",
        rich_help_panel=BASELINE,
        help="Take what got worse and what is new as well, and let go of what can no longer be measured.",
    ),
]
AcceptSites = Annotated[
    list[str] | None,
    typer.Option("--accept-site", metavar="GLOB", rich_help_panel=BASELINE, help="Take it at these sites. Repeatable."),
]
SayDifference = Annotated[
    bool, typer.Option("--exit-code", rich_help_panel=OUTPUT, help="Exit with 1 where something differs beyond noise.")
]
TwoSides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="A B", help="Two checkpoints or models, each a file or a folder, or two reports: B is compared with A."
    ),
]
ModelOfSecond = Annotated[
    str | None,
    typer.Option(
        "--model-b",
        metavar="FACTORY",
        rich_help_panel=MODEL,
        help="The factory of B, where it is not that of --model.",
    ),
]
ModelArgumentsOfSecond = Annotated[
    list[str] | None,
    typer.Option(
        "--model-b-arg", metavar="KEY=VALUE", rich_help_panel=MODEL, help="As --model-arg, of --model-b. Repeatable."
    ),
]
SiteName = Annotated[str, typer.Argument(metavar="SITE", help="A site of the report, as its tables name it.")]
OneSide = Annotated[
    str | None,
    typer.Option(
        "--position",
        metavar="WHICH",
        help="input, output or logits of the site; without it the output where there is one.",
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--checkpoint", metavar="ID", help="Numbers of this checkpoint, or that end there. Repeatable."),
]
Numbers = Annotated[
    list[str] | None,
    typer.Option("--measure", metavar="NAME", help="These measures or statistics alone; globs. Repeatable."),
]
