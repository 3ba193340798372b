"""The commands of ``covscan baseline`` and their help; what they do is imported once they are called."""

import typer

from covscan.cli import options
from covscan.cli.help import GroupedCommand
from covscan.config.settings import Settings

DEFAULTS = Settings()

CODES = """\b
Exit codes:
  0 no value is worse   1 a regression   2 something to correct
  3 a bug in covscan   4 nothing can be concluded   130 interrupted"""

app = typer.Typer(
    help="Keep what was measured, and say what got worse since.",
    epilog="""\b
A first run:
  covscan baseline write --report report.json
  covscan baseline diff --report report.json""",
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def main(context: typer.Context) -> None:
    """Print the help where no command was given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


@app.command(
    cls=GroupedCommand,
    short_help="Keep what a report says as the baseline.",
    epilog="""\b
Examples:
  covscan baseline write --report report.json
  covscan baseline write --model nets.py:build --data sample.npz \\
      -o ci/baseline.json runs/ckpt-*.pt""",
)
def write(
    context: typer.Context,
    checkpoints: options.Checkpoints = None,
    report: options.GivenReport = None,
    output: options.BaselineOutput = None,
    force: options.Force = False,
    measure: options.ComparedMeasures = None,
    statistic: options.ComparedStatistics = None,
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
    config: options.ConfigPath = None,
    no_config: options.NoConfig = False,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
    no_color: options.NoColor = False,
) -> None:
    """Keep what a report says, or what is measured now, as the baseline that later reports are compared with."""
    from covscan.cli.baseline import write as run
    from covscan.cli.values import given

    raise typer.Exit(run(context.params, given(context)))


@app.command(
    cls=GroupedCommand,
    short_help="Lower what improved; with --accept take the rest.",
    epilog="""\b
Examples:
  covscan baseline update --report report.json
  covscan baseline update --report report.json --accept-site 'encoder.*'""",
)
def update(
    context: typer.Context,
    checkpoints: options.Checkpoints = None,
    report: options.GivenReport = None,
    baseline: options.BaselinePath = None,
    accept: options.Accept = False,
    accept_site: options.AcceptSites = None,
    measure: options.ComparedMeasures = None,
    statistic: options.ComparedStatistics = None,
    relative: options.Relative = None,
    absolute: options.Absolute = None,
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
    config: options.ConfigPath = None,
    no_config: options.NoConfig = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    no_color: options.NoColor = False,
) -> None:
    """Let the baseline follow: lower values that improved, drop sites that are gone, and nothing more.

    What got worse and what is new is taken with --accept alone.
    """
    from covscan.cli.baseline import update as run
    from covscan.cli.values import given

    raise typer.Exit(run(context.params, given(context)))


@app.command(
    cls=GroupedCommand,
    short_help="Say what got worse, better, new, gone.",
    epilog=f"""\b
Examples:
  covscan baseline diff --report report.json
  covscan baseline diff --baseline-rev origin/main --report report.json \\
      -f markdown >> "$GITHUB_STEP_SUMMARY"

{CODES}""",
)
def diff(
    context: typer.Context,
    checkpoints: options.Checkpoints = None,
    report: options.GivenReport = None,
    baseline: options.BaselinePath = None,
    baseline_rev: options.BaselineRevision = None,
    measure: options.ComparedMeasures = None,
    statistic: options.ComparedStatistics = None,
    relative: options.Relative = None,
    absolute: options.Absolute = None,
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
    form: options.PlainFormat = "text",
    config: options.ConfigPath = None,
    no_config: options.NoConfig = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    color: options.Color = "auto",
    no_color: options.NoColor = False,
) -> None:
    """Say what got worse than the baseline, better, new or gone, and by how much it may be."""
    from covscan.cli.baseline import diff as run
    from covscan.cli.values import given

    raise typer.Exit(run(context.params, given(context)))
