"""The commands and their help; what they do is imported once they are called."""

from typing import Annotated, Any

import typer

from covscan.cli import baseline_commands, options
from covscan.cli.help import GroupedCommand
from covscan.config.settings import Settings

DEFAULTS = Settings()

CODES = """\b
Exit codes:
  0 completed   1 a finding at or above --fail-on   2 something to correct
  3 a bug in covscan   4 nothing can be concluded   130 interrupted"""

VERDICTS = """\b
Exit codes:
  0 passed   1 failed: a budget, a finding at or above --fail-on, a regression
  2 something to correct   3 a bug in covscan
  4 inconclusive   130 interrupted"""

app = typer.Typer(
    name="covscan",
    help="Measures how the inputs of every layer shift while a network trains, above which noise, and says "
    "where a normalization is worth trying.",
    epilog=f"""\b
A first run:
  covscan analyze --model nets.py:build --data sample.npz runs/ckpt-*.pt

{CODES}""",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(baseline_commands.app, name="baseline")

Version = Annotated[bool, typer.Option("--version", "-V", help="Print the version and exit.")]


@app.callback(invoke_without_command=True)
def main(context: typer.Context, version: Version = False) -> None:
    """Print the version, or the help where no command was given."""
    if version:
        from covscan.cli.small import print_version

        print_version("text")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


@app.command(
    cls=GroupedCommand,
    short_help="Measure a series of checkpoints and say what shifted.",
    epilog=f"""\b
Examples:
  covscan analyze --model nets.py:build --data sample.npz runs/ckpt-*.pt
  covscan analyze --model nets.py:build --data sample.npz --target y \\
      --loss cross_entropy --optimizer sgd --lr 0.1 runs/ckpt-*.pt
  covscan analyze --data sample.npz epoch1.onnx epoch2.onnx epoch3.onnx
  covscan analyze --data loader.py:batches -o json=report.json model-*.ts
  covscan analyze --model nets.py:build --data sample.npz --plot fc3 runs/
  covscan analyze --model nets.py:build --reference-data train.npz \\
      --data production.npz runs/last.pt

{CODES}""",
)
def analyze(
    context: typer.Context,
    checkpoints: options.Checkpoints = None,
    model: options.Model = None,
    model_arg: options.ModelArguments = None,
    trust: options.Trust = False,
    data: options.Data = None,
    reference_data: options.ReferenceData = None,
    target: options.Target = None,
    mask: options.Mask = None,
    samples: options.Samples = DEFAULTS.samples,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    seed: options.Seed = DEFAULTS.seed,
    device: options.Device = DEFAULTS.device,
    positions: options.Positions = str(DEFAULTS.positions),
    sites: options.Sites = None,
    exclude: options.Exclude = None,
    train_batch_size: options.TrainBatchSize = None,
    loss: options.Loss = None,
    optimizer: options.Optimizer = None,
    lr: options.LearningRate = None,
    evidence: options.EvidenceTier = None,
    trial_steps: options.TrialSteps = None,
    train_samples: options.TrainSamples = DEFAULTS.train_samples,
    per_channel: options.PerChannel = False,
    jobs: options.Jobs = DEFAULTS.jobs,
    threads: options.Threads = None,
    cache: options.Cache = True,
    form: options.Format = "text",
    output: options.Outputs = None,
    plot: options.Plots = None,
    fail_on: options.FailOn = "never",
    select: options.Select = None,
    ignore: options.Ignore = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    no_color: options.NoColor = False,
    config: options.ConfigPath = None,
    no_config: options.NoConfig = False,
) -> None:
    """Measure a series of checkpoints: which layers shifted, by how much, and what to try.

    With --reference-data it compares two data sets through one checkpoint: where a shift of the data enters the
    network, and how it travels.
    """
    from covscan.cli.analyze import run
    from covscan.cli.values import given

    raise typer.Exit(run(context.params, given(context)))


@app.command(
    cls=GroupedCommand,
    short_help="Measure the checkpoints of a training while it writes them.",
    epilog=f"""\b
Examples:
  covscan watch --model nets.py:build --data sample.npz runs/
  covscan watch --model nets.py:build --data sample.npz --idle 1800 \\
      --fail-on warning -o json=report.json runs/

{CODES}""",
)
def watch(
    context: typer.Context,
    run_dir: options.RunFolder = None,
    interval: options.Interval = 5.0,
    until: options.Until = None,
    idle: options.Idle = None,
    model: options.Model = None,
    model_arg: options.ModelArguments = None,
    trust: options.Trust = False,
    data: options.Data = None,
    target: options.Target = None,
    mask: options.Mask = None,
    samples: options.Samples = DEFAULTS.samples,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    seed: options.Seed = DEFAULTS.seed,
    device: options.Device = DEFAULTS.device,
    positions: options.Positions = str(DEFAULTS.positions),
    sites: options.Sites = None,
    exclude: options.Exclude = None,
    train_batch_size: options.TrainBatchSize = None,
    loss: options.Loss = None,
    optimizer: options.Optimizer = None,
    lr: options.LearningRate = None,
    evidence: options.EvidenceTier = None,
    trial_steps: options.TrialSteps = None,
    train_samples: options.TrainSamples = DEFAULTS.train_samples,
    per_channel: options.PerChannel = False,
    threads: options.Threads = None,
    cache: options.Cache = True,
    form: options.Format = "text",
    output: options.Outputs = None,
    plot: options.Plots = None,
    fail_on: options.FailOn = "never",
    select: options.Select = None,
    ignore: options.Ignore = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    no_color: options.NoColor = False,
    config: options.ConfigPath = None,
    no_config: options.NoConfig = False,
) -> None:
    """Follow a training that still writes checkpoints: measure each once it is whole, warn, and report at the end.

    It ends at --until, after --idle, or with Ctrl-C, which publishes the report on what was measured; Ctrl-C again
    interrupts. A layer that leaves the band of its own earlier checkpoints is named at once.
    """
    from covscan.cli.values import given
    from covscan.cli.watch import run

    raise typer.Exit(run(context.params, given(context)))


@app.command(
    cls=GroupedCommand,
    short_help="Measure, or read a report, and pass or fail it by limits.",
    epilog=f"""\b
Examples:
  covscan check --model nets.py:build --data sample.npz runs/ckpt-*.pt
  covscan check --report report.json --preset finetune --fail-on warning
  covscan check --report report.json -o markdown=summary.md

{VERDICTS}""",
)
def check(
    context: typer.Context,
    checkpoints: options.Checkpoints = None,
    report: options.JudgedReport = None,
    preset: options.Preset = None,
    fail_on: options.FailOn = None,
    select: options.Select = None,
    ignore: options.Ignore = None,
    min_samples: options.MinSamples = None,
    baseline: options.BaselinePath = None,
    baseline_rev: options.BaselineRevision = None,
    model: options.Model = None,
    model_arg: options.ModelArguments = None,
    trust: options.Trust = False,
    data: options.Data = None,
    reference_data: options.ReferenceData = None,
    target: options.Target = None,
    mask: options.Mask = None,
    samples: options.Samples = DEFAULTS.samples,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    seed: options.Seed = DEFAULTS.seed,
    device: options.Device = DEFAULTS.device,
    positions: options.Positions = str(DEFAULTS.positions),
    sites: options.Sites = None,
    exclude: options.Exclude = None,
    train_batch_size: options.TrainBatchSize = None,
    loss: options.Loss = None,
    optimizer: options.Optimizer = None,
    lr: options.LearningRate = None,
    evidence: options.EvidenceTier = None,
    trial_steps: options.TrialSteps = None,
    train_samples: options.TrainSamples = DEFAULTS.train_samples,
    per_channel: options.PerChannel = False,
    jobs: options.Jobs = DEFAULTS.jobs,
    threads: options.Threads = None,
    cache: options.Cache = True,
    form: options.Format = "text",
    output: options.Outputs = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    no_color: options.NoColor = False,
    config: options.ConfigPath = None,
    no_config: options.NoConfig = False,
) -> None:
    """Judge a series of checkpoints, or a report of one, by limits: passed, failed or inconclusive.

    Without a preset, standard holds: no NaN, no dead or saturated layer. Findings fail from error on.
    """
    from covscan.cli.check import run
    from covscan.cli.values import given

    raise typer.Exit(run(context.params, given(context)))


@app.command(
    cls=GroupedCommand,
    short_help="List what can be tapped in a model.",
    epilog="""\b
Example:
  covscan sites --model nets.py:build --data sample.npz""",
)
def sites(
    context: typer.Context,
    checkpoints: options.Checkpoints = None,
    model: options.Model = None,
    model_arg: options.ModelArguments = None,
    trust: options.Trust = False,
    data: options.Data = None,
    target: options.Target = None,
    mask: options.Mask = None,
    samples: options.Samples = DEFAULTS.samples,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    seed: options.Seed = DEFAULTS.seed,
    device: options.Device = DEFAULTS.device,
    positions: options.Positions = str(DEFAULTS.positions),
    sites: options.Sites = None,
    exclude: options.Exclude = None,
    form: options.ShortFormat = "text",
    color: options.Color = "auto",
    no_color: options.NoColor = False,
    config: options.ConfigPath = None,
    no_config: options.NoConfig = False,
) -> None:
    """List what can be tapped in a model: shapes, channel axis, and what is normalized already."""
    from covscan.cli.sites import run
    from covscan.cli.values import given

    raise typer.Exit(run(context.params, given(context)))


@app.command(
    cls=GroupedCommand,
    short_help="Compare two models on the same data, or two reports.",
    epilog="""\b
Examples:
  covscan diff --model nets.py:build --data sample.npz base.pt fine-tuned.pt
  covscan diff --model nets.py:build --data sample.npz net.pt net.onnx
  covscan diff --data sample.npz net.onnx net-int8.onnx
  covscan diff main.json branch.json

\b
Exit codes:
  0 completed   1 a finding at --fail-on, or a difference with --exit-code
  2 something to correct   3 a bug in covscan   4 nothing can be concluded
  130 interrupted""",
)
def diff(
    context: typer.Context,
    sides: options.TwoSides = None,
    model: options.Model = None,
    model_arg: options.ModelArguments = None,
    model_b: options.ModelOfSecond = None,
    model_b_arg: options.ModelArgumentsOfSecond = None,
    trust: options.Trust = False,
    data: options.Data = None,
    target: options.Target = None,
    mask: options.Mask = None,
    samples: options.Samples = DEFAULTS.samples,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    seed: options.Seed = DEFAULTS.seed,
    device: options.Device = DEFAULTS.device,
    positions: options.Positions = str(DEFAULTS.positions),
    sites: options.Sites = None,
    exclude: options.Exclude = None,
    per_channel: options.PerChannel = False,
    jobs: options.Jobs = DEFAULTS.jobs,
    threads: options.Threads = None,
    cache: options.Cache = True,
    form: options.Format = "text",
    output: options.Outputs = None,
    fail_on: options.FailOn = "never",
    select: options.Select = None,
    ignore: options.Ignore = None,
    exit_code: options.SayDifference = False,
    config: options.ConfigPath = None,
    no_config: options.NoConfig = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    no_color: options.NoColor = False,
) -> None:
    """Compare two models on the same data: fine-tuned with its base, exported or quantized with its source.

    Sites are matched by the names of modules, which exporters write into ONNX files, and of the graph's values. Of two
    reports, which need no data, the figures are put side by side.
    """
    from covscan.cli.diff import run
    from covscan.cli.values import given

    raise typer.Exit(run(context.params, given(context)))


Code = Annotated[str | None, typer.Argument(metavar="[CODE]", help="A code or a name, as COV203.")]


@app.command(
    cls=GroupedCommand,
    short_help="Explain a finding, or list all rules.",
    epilog="""\b
Example:
  covscan rule COV203""",
)
def rule(
    context: typer.Context,
    code: Code = None,
    color: options.Color = "auto",
    no_color: options.NoColor = False,
) -> None:
    """Explain a finding: what it measures, when it misleads, what to do; or list all rules."""
    from covscan.cli.rule import run

    raise typer.Exit(run(context.params))


ReportPath = Annotated[
    str, typer.Argument(metavar="REPORT.json", help="What analyze -o json=PATH wrote; - reads standard input.")
]


@app.command(
    cls=GroupedCommand,
    epilog="""\b
Example:
  covscan render report.json -f markdown >> "$GITHUB_STEP_SUMMARY" """,
)
def render(
    context: typer.Context,
    report: ReportPath,
    form: options.Format = "text",
    output: options.Outputs = None,
    plot: options.Plots = None,
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    no_color: options.NoColor = False,
) -> None:
    """Show a report again, in any format, without measuring."""
    from covscan.cli.render import run

    raise typer.Exit(run(context.params))


@app.command(
    cls=GroupedCommand,
    short_help="Explain how the numbers of one site came about.",
    epilog="""\b
Examples:
  covscan explain report.json fc3
  covscan explain report.json fc3 --position input --measure gaussian_w2
  covscan explain report.json fc3 --checkpoint step-3000 -f json

\b
Exit codes:
  0 completed   1 a number does not follow from the others
  2 something to correct   3 a bug in covscan""",
)
def explain(
    context: typer.Context,
    report: ReportPath,
    site: options.SiteName,
    position: options.OneSide = None,
    checkpoint: options.Columns = None,
    measure: options.Numbers = None,
    form: options.PlainFormat = "text",
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    no_color: options.NoColor = False,
) -> None:
    """Explain how the numbers of one site came about: files, samples, formulas, noise, and what rests on them.

    What the report's own numbers allow is computed again, and it is said whether it agrees.
    """
    from covscan.cli.explain import run

    raise typer.Exit(run(context.params))


BrowsedReport = Annotated[str, typer.Argument(metavar="REPORT.json", help="What analyze -o json=PATH wrote.")]


@app.command(
    cls=GroupedCommand,
    short_help="Walk through a report with the keyboard.",
    epilog="""\b
Example:
  covscan browse report.json""",
)
def browse(context: typer.Context, report: BrowsedReport) -> None:
    """Walk through a report with the keyboard: overview, layers, findings, suggestions; ? lists the keys.

    Needs the extra browse: pip install 'covscan[browse]'
    """
    from covscan.cli.browse import run

    raise typer.Exit(run(context.params))


@app.command(cls=GroupedCommand)
def schema() -> None:
    """Print the JSON Schema of the report."""
    from covscan.cli.small import print_schema

    raise typer.Exit(print_schema())


ConfigTarget = Annotated[
    str,
    typer.Option("--output", "-o", metavar="PATH", rich_help_panel=options.OUTPUT, help="The file to write; - prints."),
]
Force = Annotated[
    bool, typer.Option("--force", rich_help_panel=options.OUTPUT, help="Replace the file if it is there already.")
]
EarlierReport = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="REPORT.json",
        rich_help_panel=options.OUTPUT,
        help="Take settings and budgets from what analyze -o json=PATH wrote, without measuring.",
    ),
]


@app.command(
    cls=GroupedCommand,
    short_help="Write a covscan.toml with budgets measured from a model.",
    epilog="""\b
Examples:
  covscan init --model nets.py:build --data sample.npz runs/
  covscan init --report report.json
  covscan init -o -
\b
Exit codes:
  0 written   2 something to correct, nothing written   3 a bug in covscan
  4 nothing could be measured   130 interrupted""",
)
def init(
    context: typer.Context,
    checkpoints: options.Checkpoints = None,
    report: EarlierReport = None,
    output: ConfigTarget = "covscan.toml",
    force: Force = False,
    model: options.Model = None,
    model_arg: options.ModelArguments = None,
    trust: options.Trust = False,
    data: options.Data = None,
    reference_data: options.ReferenceData = None,
    target: options.Target = None,
    mask: options.Mask = None,
    samples: options.Samples = DEFAULTS.samples,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    seed: options.Seed = DEFAULTS.seed,
    device: options.Device = DEFAULTS.device,
    positions: options.Positions = str(DEFAULTS.positions),
    sites: options.Sites = None,
    exclude: options.Exclude = None,
    train_batch_size: options.TrainBatchSize = None,
    loss: options.Loss = None,
    optimizer: options.Optimizer = None,
    lr: options.LearningRate = None,
    evidence: options.EvidenceTier = None,
    trial_steps: options.TrialSteps = None,
    train_samples: options.TrainSamples = DEFAULTS.train_samples,
    per_channel: options.PerChannel = False,
    jobs: options.Jobs = DEFAULTS.jobs,
    threads: options.Threads = None,
    cache: options.Cache = True,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
    no_color: options.NoColor = False,
    config: options.ConfigPath = None,
    no_config: options.NoConfig = False,
) -> None:
    """Write a commented covscan.toml: the settings given here, and budgets with headroom above what is measured.

    Without checkpoints nothing is measured: the file holds what the folder seems to hold, commented out.
    """
    from covscan.cli.init import run
    from covscan.cli.values import given

    raise typer.Exit(run(context.params, given(context)))


Show = Annotated[bool, typer.Option("--show", help="Say what is in force, and from where; so without it.")]
ConfigSchema = Annotated[
    bool, typer.Option("--schema", help="Print the JSON Schema of covscan.toml, for editors, instead.")
]


@app.command(
    cls=GroupedCommand,
    short_help="Show the settings in force and where each came from.",
    epilog="""\b
Examples:
  covscan config --show
  covscan config --samples 64 -f json
  covscan config --schema > covscan.schema.json""",
)
def config(
    context: typer.Context,
    show: Show = False,
    schema: ConfigSchema = False,
    form: options.ShortFormat = "text",
    color: options.Color = "auto",
    no_color: options.NoColor = False,
    checkpoints: options.Checkpoints = None,
    model: options.Model = None,
    model_arg: options.ModelArguments = None,
    trust: options.Trust = False,
    data: options.Data = None,
    reference_data: options.ReferenceData = None,
    target: options.Target = None,
    mask: options.Mask = None,
    samples: options.Samples = DEFAULTS.samples,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    seed: options.Seed = DEFAULTS.seed,
    device: options.Device = DEFAULTS.device,
    positions: options.Positions = str(DEFAULTS.positions),
    sites: options.Sites = None,
    exclude: options.Exclude = None,
    train_batch_size: options.TrainBatchSize = None,
    loss: options.Loss = None,
    optimizer: options.Optimizer = None,
    lr: options.LearningRate = None,
    evidence: options.EvidenceTier = None,
    trial_steps: options.TrialSteps = None,
    train_samples: options.TrainSamples = DEFAULTS.train_samples,
    per_channel: options.PerChannel = False,
    jobs: options.Jobs = DEFAULTS.jobs,
    threads: options.Threads = None,
    cache: options.Cache = True,
    config: options.ConfigPath = None,
    no_config: options.NoConfig = False,
) -> None:
    """Show each setting, its value, and where it came from: a flag, the configuration file, or a default."""
    from covscan.cli.config import run
    from covscan.cli.values import given

    raise typer.Exit(run(context.params, given(context)))


@app.command(cls=GroupedCommand, short_help="Show what was measured before and is kept, or remove it.")
def cache(clear: options.Clear = False, form: options.ShortFormat = "text") -> None:
    """Show where measurements are kept and how much there is; --clear removes them.

    A rerun, a run with one more checkpoint or a check after analyze measures only what is new. What is kept is found by
    the content of the checkpoint, the data, the code of the model and the settings, so that it is never out of date.
    """
    from covscan.cli.cache import run

    raise typer.Exit(run(clear=clear, form=form))


@app.command(cls=GroupedCommand, short_help="Show what is installed and which devices there are.")
def doctor(
    context: typer.Context,
    form: options.ShortFormat = "text",
    color: options.Color = "auto",
    no_color: options.NoColor = False,
) -> None:
    """Show what is installed, which devices there are, and what the terminal can show."""
    from covscan.cli.doctor import run

    raise typer.Exit(run(context.params))


@app.command(cls=GroupedCommand)
def version(form: options.ShortFormat = "text") -> None:
    """Print the version."""
    from covscan.cli.small import print_version

    raise typer.Exit(print_version(form))


@app.command(
    cls=GroupedCommand,
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
def insert(
    context: typer.Context,
    checkpoint: options.OneCheckpoint = None,
    site: options.Site = None,
    position: options.Side = None,
    norm: options.Norm = None,
    report: options.FromReport = None,
    rank: options.Rank = None,
    model: options.Model = None,
    model_arg: options.ModelArguments = None,
    trust: options.Trust = False,
    data: options.Data = None,
    target: options.Target = None,
    mask: options.Mask = None,
    samples: options.Samples = DEFAULTS.samples,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    seed: options.Seed = DEFAULTS.seed,
    device: options.Device = DEFAULTS.device,
    output: options.Written = None,
    code: options.WrittenCode = None,
    form: options.ShortFormat = "text",
    color: options.Color = "auto",
    no_color: options.NoColor = False,
    config: options.ConfigPath = None,
    no_config: options.NoConfig = False,
) -> None:
    """Put a normalization into a checkpoint so that the network computes what it did, and verify that.

    A PyTorch checkpoint becomes a state_dict and a file with the factory that takes it; an ONNX file becomes another.
    """
    from covscan.cli.insert import run
    from covscan.cli.values import given

    raise typer.Exit(run(context.params, given(context)))


@app.command(
    cls=GroupedCommand,
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
def prove(
    context: typer.Context,
    checkpoints: options.Checkpoints = None,
    site: options.Site = None,
    position: options.Side = None,
    norm: options.Norm = None,
    report: options.FromReport = None,
    rank: options.Rank = None,
    model: options.Model = None,
    model_arg: options.ModelArguments = None,
    trust: options.Trust = False,
    data: options.Data = None,
    target: options.Target = None,
    mask: options.Mask = None,
    samples: options.Samples = DEFAULTS.train_samples,
    batch_size: options.BatchSize = DEFAULTS.batch_size,
    train_batch_size: options.TrainBatchSize = None,
    seed: options.Seed = DEFAULTS.seed,
    device: options.Device = DEFAULTS.device,
    loss: options.Loss = None,
    optimizer: options.Optimizer = None,
    lr: options.LearningRate = None,
    seeds: options.Seeds = 5,
    steps: options.Steps = 200,
    rates: options.Rates = 7,
    resume: options.Resume = None,
    expect_gain: options.ExpectGain = None,
    output: options.ProofPath = None,
    form: options.ShortFormat = "text",
    quiet: options.Quiet = False,
    color: options.Color = "auto",
    no_color: options.NoColor = False,
    config: options.ConfigPath = None,
    no_config: options.NoConfig = False,
) -> None:
    """Train a little with and without a normalization, over learning rates and seeds, and say what it gains."""
    from covscan.cli.prove import run
    from covscan.cli.values import given

    raise typer.Exit(run(context.params, given(context)))


def command() -> Any:
    """The whole command line, as typer's own object for it."""
    return typer.main.get_command(app)
