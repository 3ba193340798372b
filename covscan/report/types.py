"""The contract: what a report holds. No torch, no numpy; every number is a plain finite float or null."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from covscan.report.gate import Gate

SCHEMA_VERSION = "1.1"
"""1.1 added ``gate``, ``comparison``, ``Site.source`` and ``Finding.suppressed``."""

Severity = Literal["error", "warning", "info"]
Position = Literal["input", "output", "logits"]


class _Value(Struct, frozen=True, kw_only=True):
    """Base of every record; a subclass repeats these options, of which msgspec and mypy inherit different ones."""


class Tool(_Value, frozen=True, kw_only=True):
    """Which program wrote the report."""

    name: str
    version: str


class Run(_Value, frozen=True, kw_only=True):
    """What may differ between two runs on the same inputs; nothing else in a report does."""

    started: Annotated[str, Meta(description="UTC, ISO 8601")]
    seconds: Annotated[float, Meta(description="wall time of the whole run, in seconds")]
    host: str
    command: Annotated[str, Meta(description="the command line as given, or 'covscan.analyze(...)'")]
    versions: Annotated[dict[str, str], Meta(description="python, torch, onnx, onnxruntime, numpy")]


class Model(_Value, frozen=True, kw_only=True):
    """What was opened."""

    description: str
    engine: Literal["torch", "torchscript", "onnx"]
    parameters: Annotated[int | None, Meta(description="number of weights, null where it cannot be counted")]
    device: str


class Checkpoint(_Value, frozen=True, kw_only=True):
    """One column: a saved state in its place in the series; of a comparison one of its two sides."""

    id: Annotated[str, Meta(description="name of the column: of the checkpoint, the data set or the model")]
    step: Annotated[int | None, Meta(description="training step, null where neither file nor name holds one")]
    path: str
    sha256: str


class Data(_Value, frozen=True, kw_only=True):
    """The samples that every checkpoint saw; of two data sets the smaller counts, and one fingerprint of both."""

    description: str
    samples: Annotated[int, Meta(description="samples read")]
    available: Annotated[int | None, Meta(description="samples in the data set, null where unknown")]
    fingerprint: Annotated[str, Meta(description="hex SHA-256 of the samples read, in order")]
    blocks: Annotated[int, Meta(description="jackknife blocks the samples are dealt into")]
    positions: Annotated[int | None, Meta(description="positions read per sample and site at most, null for all")]
    seed: int
    masked: Annotated[bool, Meta(description="whether padding was left out")]


class Side(_Value, frozen=True, kw_only=True):
    """One side of a comparison; its figures stand under its id, where others have a checkpoint's."""

    id: str
    model: Annotated[Model, Meta(description="what was opened for this side")]
    data: Annotated[Data, Meta(description="what was run through it")]


class Renamed(_Value, frozen=True, kw_only=True):
    """A site that the second model calls otherwise than the first, whose names the report uses."""

    site: str
    position: Position
    there: Annotated[str, Meta(description="its name in the second model")]
    there_position: Annotated[Position, Meta(description="which side of that module or value")]


class Comparison(_Value, frozen=True, kw_only=True):
    """What is compared with what."""

    kind: Annotated[
        Literal["checkpoints", "data", "models"],
        Meta(description="what differs between the columns: training, the samples, or the whole model"),
    ]
    sentence: Annotated[str, Meta(description="both sides in words")]
    paired: Annotated[
        bool,
        Meta(description="every column saw the same samples; else intervals are those of two independent samples"),
    ]
    sides: Annotated[list[Side], Meta(description="both sides of data and models; empty for checkpoints")] = []
    mapped: Annotated[
        list[int] | None,
        Meta(description="models: sites with a counterpart, and measurable sites of the first and of the second model"),
    ] = None
    renamed: Annotated[list[Renamed], Meta(description="models: sites with another name in the second model")] = []


class Skipped(_Value, frozen=True, kw_only=True):
    """A place that was not measured, and why."""

    site: str
    reason: str
    checkpoint: Annotated[str | None, Meta(description="null where it holds for every checkpoint")] = None


class Coverage(_Value, frozen=True, kw_only=True):
    """What was seen and what was not."""

    measured: Annotated[int, Meta(description="sites with statistics at one checkpoint at least")]
    skipped: list[Skipped]
    never_fired: Annotated[list[str], Meta(description="modules that were never called")]
    non_finite: Annotated[list[str], Meta(description="sites with NaN or infinity at some checkpoint")]


class Statistics(_Value, frozen=True, kw_only=True):
    """One site at one checkpoint, over every value read; per-channel figures have their own names.

    ``channel_*`` lists appear with --per-channel only.
    """

    samples: Annotated[int, Meta(description="samples with at least one value")]
    count: Annotated[int, Meta(description="finite values read")]
    mean: float | None
    std: Annotated[float | None, Meta(description="population standard deviation (ddof 0)")]
    min: float | None
    max: float | None
    p1: float | None
    p5: float | None
    p15: float | None
    p25: float | None
    p50: float | None
    p75: float | None
    p85: float | None
    p95: float | None
    p99: float | None
    kurtosis: Annotated[float | None, Meta(description="of the kept rows; 3 for a Gaussian")]
    zero_share: Annotated[float | None, Meta(description="share of values that are exactly 0")]
    saturated_share: Annotated[
        float | None, Meta(description="share of values where the activation is flat; null where it never is")
    ]
    nonfinite_share: Annotated[float, Meta(description="share of values that are NaN or infinite")]
    dead_channels: Annotated[
        float | None,
        Meta(description="share of channels with no variance or, after a ReLU, active in under 1 % of values"),
    ]
    channel_scale: Annotated[float | None, Meta(description="mean over channels of the channel variance (ACV)")]
    channel_mean_square: Annotated[
        float | None, Meta(description="mean over channels of the squared channel mean (ACSM)")
    ]
    mean_to_variance: Annotated[float | None, Meta(description="ACSM/ACV")]
    channel_heterogeneity: Annotated[float | None, Meta(description="standard deviation over channels of ln variance")]
    cross_sample_cosine: Annotated[float | None, Meta(description="mean cosine between rows of different samples")]
    effective_rank: Annotated[
        float | None, Meta(description="exp of the spectral entropy of the covariance, from kept rows")
    ]
    participation_ratio: Annotated[
        float | None, Meta(description="tr(S)^2/tr(S^2), unbiased numerator and denominator")
    ]
    conditioning: Annotated[
        float | None, Meta(description="largest over mean eigenvalue of the uncentred second moment")
    ]
    massive_activation: Annotated[float | None, Meta(description="largest |value| over the median |value|")]
    status: Annotated[str | None, Meta(description="why values are null, where they are")] = None
    channel_means: list[float | None] | UnsetType = UNSET
    channel_stds: list[float | None] | UnsetType = UNSET
    channel_mins: list[float | None] | UnsetType = UNSET
    channel_maxs: list[float | None] | UnsetType = UNSET
    channel_zero_shares: list[float | None] | UnsetType = UNSET
    channel_nonfinite_shares: list[float | None] | UnsetType = UNSET


class SameAs(_Value, frozen=True, kw_only=True):
    """Another site that sees the very same tensor."""

    site: str
    position: Position


class SourceLine(_Value, frozen=True, kw_only=True):
    """Where the user's code makes a module."""

    file: Annotated[str, Meta(description="relative to the repository or the working folder, with forward slashes")]
    line: Annotated[int, Meta(description="from 1")]


class Site(_Value, frozen=True, kw_only=True):
    """A tensor in the model that was tapped."""

    site: Annotated[
        str,
        Meta(description="module name as in named_modules(), '#2' behind the second call; or ONNX value name"),
    ]
    position: Position
    type: Annotated[str, Meta(description="class of the module, or ONNX operator")]
    role: Annotated[
        Literal["layer", "activation", "norm", "block", "attention", "other"],
        Meta(description="what the module is; 'block' is a container whose output is a sum or the like"),
    ]
    channels: int
    channel_axis: Annotated[int, Meta(description="axis of the channels in the tensor as the module sees it")]
    shape: Annotated[list[int | str], Meta(description="of the tensor, the sample axis as 'N'")]
    depth: Annotated[int, Meta(description="order of execution, from 0")]
    same_as: Annotated[SameAs | None, Meta(description="the site that sees the same tensor and is shown in its place")]
    normalized_by: Annotated[str | None, Meta(description="the norm that already acts on this tensor, if any")]
    statistics: Annotated[dict[str, Statistics], Meta(description="by checkpoint id")]
    source: Annotated[
        SourceLine | None, Meta(description="the line that makes the module; null where it could not be found")
    ] = None


class Measure(_Value, frozen=True, kw_only=True):
    """A measure between two columns, with what sampling alone would give."""

    value: float | None
    noise: Annotated[
        float | None, Meta(description="95th percentile between random halves of one checkpoint's samples")
    ]
    low: Annotated[
        float | None, Meta(description="lower end of the 95 % jackknife interval, of pairs or of independent samples")
    ]
    high: Annotated[float | None, Meta(description="upper end of it")]
    significant: Annotated[bool, Meta(description="the interval clears the noise and the value a stated effect size")]
    status: Annotated[str | None, Meta(description="why the value is null, where it is")] = None


class Shift(_Value, frozen=True, kw_only=True):
    """How one site moved between two columns."""

    site: str
    position: Position
    from_: str = field(name="from")
    to: str
    measures: dict[str, Measure]
    channels_shifted: Annotated[
        float | None,
        Meta(description="share of channels whose mean moved by over 0.2 sd at a false discovery rate of 5 %"),
    ]


class Finding(_Value, frozen=True, kw_only=True):
    """A rule that fired, with its evidence."""

    code: str
    name: str
    severity: Severity
    site: Annotated[str | None, Meta(description="null where it is about the whole run")]
    position: Position | None = None
    checkpoint: str | None = None
    message: str
    evidence: dict[str, Any]
    suppressed: Annotated[
        str | None, Meta(description="the reason given for leaving it out of the verdict; null where it counts")
    ] = None


Tier = Literal["forward", "gradient", "probe", "trial"]
Verdict = Literal["recommended", "worth testing", "no evidence", "would likely harm"]


class Gain(_Value, frozen=True, kw_only=True):
    """A relative change of a loss, positive where it gets smaller, at most 1."""

    value: float
    low: Annotated[float | None, Meta(description="lower end of the 90 % interval, null without repetitions")]
    high: Annotated[float | None, Meta(description="upper end of it")]


class Candidate(_Value, frozen=True, kw_only=True):
    """A place where a normalization could go."""

    site: str
    position: Literal["before", "after"]
    norm: Annotated[str, Meta(description="BatchNorm1d, BatchNorm2d, LayerNorm, GroupNorm, RMSNorm, ...")]
    score: Annotated[float, Meta(description="0 to 1, orders the candidates by the gain expected of normalizing there")]
    evidence: Annotated[dict[str, float | None], Meta(description="each signal with its rank in the network, 0 to 1")]
    runner_up: Annotated[str | None, Meta(description="the next best normalization here")] = None
    tier: Annotated[Tier, Meta(description="what score and verdict rest on")] = "forward"
    verdict: Annotated[Verdict | None, Meta(description="null where nothing was trained")] = None
    gain: Annotated[
        Gain | None,
        Meta(description="of the area under the training loss, each arm at its best learning rate; trial only"),
    ] = None
    gain_at_rate: Annotated[Gain | None, Meta(description="the same at the learning rate given as --lr")] = None
    one_step: Annotated[Gain | None, Meta(description="of the loss after one step; probe and trial")] = None


class Suggestion(_Value, frozen=True, kw_only=True):
    """A candidate that covscan would act on."""

    rank: int
    site: str
    position: Literal["before", "after"]
    norm: str
    score: float
    reason: str
    confidence: Annotated[
        Literal["low", "medium", "high"], Meta(description="forward evidence alone is never more than low")
    ]
    tier: Annotated[Tier, Meta(description="what the evidence rests on")]
    evidence: dict[str, Any]
    patch: Annotated[str, Meta(description="code to paste")]
    runner_up: str | None = None
    verdict: Annotated[Verdict | None, Meta(description="null where nothing was trained")] = None
    gain: Annotated[Gain | None, Meta(description="as of the candidate")] = None
    gain_at_rate: Annotated[Gain | None, Meta(description="as of the candidate")] = None
    gain_of_fixed_affine: Annotated[
        Gain | None, Meta(description="of constants that standardize as the normalization does at the start")
    ] = None
    stays_first: Annotated[
        float | None, Meta(description="share of redraws of the seeds in which no other place gains more")
    ] = None
    exchangeable_with: Annotated[
        list[str], Meta(description="other places whose gain cannot be told from this one's")
    ] = []


class LayerGradient(_Value, frozen=True, kw_only=True):
    """The gradient of one layer's weights at one checkpoint."""

    layer: str
    checkpoint: str
    gradient_norm: Annotated[float | None, Meta(description="root mean square over the batches of the norm")]
    gradient_rms: Annotated[float | None, Meta(description="the same for one weight")]
    weight_norm: float | None
    relative_gradient: Annotated[float | None, Meta(description="gradient norm over weight norm")]
    update_ratio: Annotated[
        float | None, Meta(description="norm of one optimizer step at --lr over the weight norm; null without --lr")
    ]
    gradient_noise: Annotated[
        float | None, Meta(description="distance between the gradients of two batches, relative to a gradient")
    ]
    scale_invariance: Annotated[
        float | None, Meta(description="|<W, g>| / (|W| |g|); near 0 in front of a normalization")
    ]
    status: str | None = None


class GradientShift(_Value, frozen=True, kw_only=True):
    """How a layer's gradient changes once the layers before it are those of the next checkpoint."""

    layer: str
    from_: str = field(name="from")
    to: str
    relative: Annotated[float | None, Meta(description="|G - G'| / |G|; 0 where nothing moves")]
    cosine: Annotated[float | None, Meta(description="of G and G'; 1 where nothing moves")]
    noise: Annotated[float | None, Meta(description="what the choice of the batch alone changes, relative")]
    significant: bool
    status: str | None = None


class Landscape(_Value, frozen=True, kw_only=True):
    """The loss along the optimizer's next step at one checkpoint, at half to four times its size."""

    checkpoint: str
    rate: Annotated[float | None, Meta(description="--lr, or the best of several rates where it was not given")]
    rate_known: bool
    loss: float | None
    loss_after: Annotated[float | None, Meta(description="behind one step at the rate")]
    loss_low: float | None
    loss_high: float | None
    predictiveness: Annotated[float | None, Meta(description="largest change of the gradient, relative to its norm")]
    effective_smoothness: Annotated[
        float | None, Meta(description="largest change of the gradient over the length of the step")
    ]
    sharpness: Annotated[float | None, Meta(description="largest eigenvalue of the Hessian")]
    sharpness_error: float | None
    stability: Annotated[
        float | None, Meta(description="the rate as a multiple of the largest that is stable at this sharpness")
    ]
    status: str | None = None


class Gradients(_Value, frozen=True, kw_only=True):
    """What gradients say about the series."""

    layers: list[LayerGradient]
    shifts: list[GradientShift]
    landscapes: list[Landscape]
    loss_by_checkpoint: Annotated[
        dict[str, float | None], Meta(description="mean over the batches, in training mode; null where not finite")
    ]
    batch_size: int
    batches: int
    forwards: Annotated[int, Meta(description="forward passes spent; a backward pass counts as two")]


class Trials(_Value, frozen=True, kw_only=True):
    """The short trainings that the suggestions rest on."""

    tier: Literal["probe", "trial"]
    intervention: Annotated[
        Literal["from the start", "into a checkpoint"],
        Meta(description="normalizations in from the initial weights on, or put into trained weights unchanged"),
    ]
    start: Annotated[str, Meta(description="which weights the trainings start from")]
    loss: str
    optimizer: str
    rate: Annotated[float | None, Meta(description="the learning rate given as --lr")]
    best_rate: Annotated[float | None, Meta(description="the best learning rate found without a normalization")]
    batch_size: int
    samples: Annotated[int, Meta(description="samples that the trainings draw from")]
    everywhere: Annotated[Gain | None, Meta(description="a normalization behind every layer at once")]
    last_only: Annotated[
        Gain | None, Meta(description="a normalization at the last place in front of the head alone")
    ] = None
    rivals: Annotated[dict[str, Gain], Meta(description="remedies that are no normalization, by name")]
    curve_without: Annotated[list[float], Meta(description="mean training loss by step, clipped at the start's loss")]
    curve_with: Annotated[list[float], Meta(description="the same with the best normalization, at its best rate")]
    steps: Annotated[int, Meta(description="training steps spent")]
    forwards: Annotated[int, Meta(description="other evaluations of a batch, in forward passes")]
    budget: Annotated[int, Meta(description="training steps that would have been spent at most")]


class Report(_Value, frozen=True, kw_only=True):
    """Everything one run of covscan measured and concluded."""

    schema_version: str
    tool: Tool
    run: Run
    model: Model
    checkpoints: list[Checkpoint]
    data: Data
    coverage: Coverage
    sites: list[Site]
    shifts: list[Shift]
    findings: list[Finding]
    candidates: list[Candidate]
    suggestions: list[Suggestion]
    gradients: Annotated[Gradients | None, Meta(description="null without a loss")] = None
    trials: Annotated[Trials | None, Meta(description="null where nothing was trained")] = None
    comparison: Annotated[
        Comparison | None, Meta(description="what is compared with what; null for one checkpoint and in older reports")
    ] = None
    gate: Annotated[Gate | None, Meta(description="the verdict of 'covscan check'; null where nothing was gated")] = (
        None
    )
    notes: Annotated[
        list[str], Meta(description="sentences for the reader: what was decided for them and what it means")
    ]
