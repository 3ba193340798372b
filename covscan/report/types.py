"""The contract: what a report holds. No torch, no numpy; every number is a plain finite float or null."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from covscan.report.gate import Gate
from covscan.report.training import Gain, Gradients, Trials

SCHEMA_VERSION = "1.1"
"""1.1 added ``gate``, ``comparison``, ``Site.source`` and ``Finding.suppressed``."""

Severity = Literal["error", "warning", "info"]
Position = Literal["input", "output", "logits"]


class Tool(Struct, frozen=True, kw_only=True):
    """Which program wrote the report."""

    name: Annotated[str, Meta(description="always 'covscan'")]
    version: Annotated[str, Meta(description="its version, PEP 440")]


class Run(Struct, frozen=True, kw_only=True):
    """What may differ between two runs on the same inputs; nothing else in a report does."""

    started: Annotated[str, Meta(description="UTC, ISO 8601")]
    seconds: Annotated[float, Meta(description="wall time of the whole run, in seconds")]
    host: Annotated[str, Meta(description="name of the machine")]
    command: Annotated[str, Meta(description="the command line as given, or 'covscan.analyze(...)'")]
    versions: Annotated[dict[str, str], Meta(description="python, torch, onnx, onnxruntime, numpy")]


class Model(Struct, frozen=True, kw_only=True):
    """What was opened."""

    description: Annotated[str, Meta(description="where its architecture came from, and the format of its weights")]
    engine: Annotated[Literal["torch", "torchscript", "onnx"], Meta(description="what ran it")]
    parameters: Annotated[int | None, Meta(description="number of weights, null where it cannot be counted")]
    device: Annotated[str, Meta(description="where it ran, for example 'cpu' or 'cuda'")]


class Checkpoint(Struct, frozen=True, kw_only=True):
    """One column: a saved state in its place in the series; of a comparison one of its two sides."""

    id: Annotated[
        str,
        Meta(description="its name in the rest of the report, unique: of the checkpoint, the data set or the model"),
    ]
    step: Annotated[int | None, Meta(description="training step, null where neither file nor name holds one")]
    path: Annotated[str, Meta(description="as it was given")]
    sha256: Annotated[str, Meta(description="hex SHA-256 of the file")]


class Data(Struct, frozen=True, kw_only=True):
    """The samples that every checkpoint saw; of two data sets the smaller counts, and one fingerprint of both."""

    description: Annotated[str, Meta(description="the source and its arrays, with their types and shapes")]
    samples: Annotated[int, Meta(description="samples read")]
    available: Annotated[int | None, Meta(description="samples in the data set, null where unknown")]
    fingerprint: Annotated[str, Meta(description="hex SHA-256 of the samples read, in order")]
    blocks: Annotated[int, Meta(description="jackknife blocks the samples are dealt into")]
    positions: Annotated[int | None, Meta(description="positions read per sample and site at most, null for all")]
    seed: Annotated[int, Meta(description="what samples and positions were chosen by")]
    masked: Annotated[bool, Meta(description="whether padding was left out")]


class Side(Struct, frozen=True, kw_only=True):
    """One side of a comparison; its figures stand under its id, where others have a checkpoint's."""

    id: Annotated[str, Meta(description="as in checkpoints")]
    model: Annotated[Model, Meta(description="what was opened for this side")]
    data: Annotated[Data, Meta(description="what was run through it")]


class Renamed(Struct, frozen=True, kw_only=True):
    """A site that the second model calls otherwise than the first, whose names the report uses."""

    site: Annotated[str, Meta(description="as in sites")]
    position: Annotated[Position, Meta(description="as in sites")]
    there: Annotated[str, Meta(description="its name in the second model")]
    there_position: Annotated[Position, Meta(description="which side of that module or value")]


class Comparison(Struct, frozen=True, kw_only=True):
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


class Skipped(Struct, frozen=True, kw_only=True):
    """A place that was not measured, and why."""

    site: Annotated[str, Meta(description="module name or ONNX value name")]
    reason: Annotated[str, Meta(description="why, in words")]
    checkpoint: Annotated[str | None, Meta(description="null where it holds for every checkpoint")] = None


class Coverage(Struct, frozen=True, kw_only=True):
    """What was seen and what was not."""

    measured: Annotated[int, Meta(description="sites with statistics at one checkpoint at least")]
    skipped: Annotated[list[Skipped], Meta(description="places that were not measured, each with its reason")]
    never_fired: Annotated[list[str], Meta(description="modules that were never called")]
    non_finite: Annotated[list[str], Meta(description="sites with NaN or infinity at some checkpoint")]


class Statistics(Struct, frozen=True, kw_only=True):
    """One site at one checkpoint, over every value read; per-channel figures have their own names.

    ``channel_*`` lists appear with --per-channel only.
    """

    samples: Annotated[int, Meta(description="samples with at least one value")]
    count: Annotated[int, Meta(description="finite values read")]
    mean: Annotated[float | None, Meta(description="in the unit of the tensor")]
    std: Annotated[float | None, Meta(description="population standard deviation (ddof 0), in the unit of the tensor")]
    min: Annotated[float | None, Meta(description="smallest value, in the unit of the tensor")]
    max: Annotated[float | None, Meta(description="largest value, in the unit of the tensor")]
    p1: Annotated[float | None, Meta(description="1st percentile of the kept rows, in the unit of the tensor")]
    p5: Annotated[float | None, Meta(description="5th percentile of the kept rows, in the unit of the tensor")]
    p15: Annotated[float | None, Meta(description="15th percentile of the kept rows, in the unit of the tensor")]
    p25: Annotated[float | None, Meta(description="25th percentile of the kept rows, in the unit of the tensor")]
    p50: Annotated[float | None, Meta(description="50th percentile of the kept rows, in the unit of the tensor")]
    p75: Annotated[float | None, Meta(description="75th percentile of the kept rows, in the unit of the tensor")]
    p85: Annotated[float | None, Meta(description="85th percentile of the kept rows, in the unit of the tensor")]
    p95: Annotated[float | None, Meta(description="95th percentile of the kept rows, in the unit of the tensor")]
    p99: Annotated[float | None, Meta(description="99th percentile of the kept rows, in the unit of the tensor")]
    kurtosis: Annotated[float | None, Meta(description="of the kept rows, a pure number; 3 for a Gaussian")]
    zero_share: Annotated[float | None, Meta(description="share, 0 to 1, of values that are exactly 0")]
    saturated_share: Annotated[
        float | None, Meta(description="share, 0 to 1, of values where the activation is flat; null where it never is")
    ]
    nonfinite_share: Annotated[float, Meta(description="share, 0 to 1, of values that are NaN or infinite")]
    dead_channels: Annotated[
        float | None,
        Meta(description="share of channels, 0 to 1, with no variance or, after a ReLU, active in under 1 % of values"),
    ]
    channel_scale: Annotated[
        float | None,
        Meta(description="mean over channels of the channel variance (ACV), in the squared unit of the tensor"),
    ]
    channel_mean_square: Annotated[
        float | None,
        Meta(description="mean over channels of the squared channel mean (ACSM), in the squared unit of the tensor"),
    ]
    mean_to_variance: Annotated[float | None, Meta(description="ACSM/ACV, a pure number")]
    channel_heterogeneity: Annotated[float | None, Meta(description="standard deviation over channels of ln variance")]
    cross_sample_cosine: Annotated[
        float | None, Meta(description="mean cosine between rows of different samples, -1 to 1")
    ]
    effective_rank: Annotated[
        float | None, Meta(description="exp of the spectral entropy of the covariance, from kept rows; in directions")
    ]
    participation_ratio: Annotated[
        float | None, Meta(description="tr(S)^2/tr(S^2), unbiased numerator and denominator; in directions")
    ]
    conditioning: Annotated[
        float | None, Meta(description="largest over mean eigenvalue of the uncentred second moment, from 1")
    ]
    massive_activation: Annotated[float | None, Meta(description="largest |value| over the median |value|, from 1")]
    status: Annotated[str | None, Meta(description="why values are null, where they are")] = None
    channel_means: (
        Annotated[list[float | None], Meta(description="mean of each channel, in the unit of the tensor")] | UnsetType
    ) = UNSET
    channel_stds: (
        Annotated[list[float | None], Meta(description="standard deviation of each channel, in the unit of the tensor")]
        | UnsetType
    ) = UNSET
    channel_mins: (
        Annotated[list[float | None], Meta(description="smallest value of each channel, in the unit of the tensor")]
        | UnsetType
    ) = UNSET
    channel_maxs: (
        Annotated[list[float | None], Meta(description="largest value of each channel, in the unit of the tensor")]
        | UnsetType
    ) = UNSET
    channel_zero_shares: (
        Annotated[list[float | None], Meta(description="share, 0 to 1, of each channel's values that are exactly 0")]
        | UnsetType
    ) = UNSET
    channel_nonfinite_shares: (
        Annotated[
            list[float | None], Meta(description="share, 0 to 1, of each channel's values that are NaN or infinite")
        ]
        | UnsetType
    ) = UNSET


class SameAs(Struct, frozen=True, kw_only=True):
    """Another site that sees the very same tensor."""

    site: Annotated[str, Meta(description="its name")]
    position: Annotated[Position, Meta(description="its position")]


class SourceLine(Struct, frozen=True, kw_only=True):
    """Where the user's code makes a module."""

    file: Annotated[
        str, Meta(description="relative to the repository, with forward slashes; the bare name outside of any")
    ]
    line: Annotated[int, Meta(description="from 1")]


class Site(Struct, frozen=True, kw_only=True):
    """A tensor in the model that was tapped."""

    site: Annotated[
        str,
        Meta(description="module name as in named_modules(), '#2' behind the second call; or ONNX value name"),
    ]
    position: Annotated[
        Position, Meta(description="which tensor of the module: what it reads, what it gives, or an attention's logits")
    ]
    type: Annotated[str, Meta(description="class of the module, or ONNX operator")]
    role: Annotated[
        Literal["layer", "activation", "norm", "block", "attention", "other"],
        Meta(description="what the module is; 'block' is a container whose output is a sum or the like"),
    ]
    channels: Annotated[int, Meta(description="channels of the tensor")]
    channel_axis: Annotated[int, Meta(description="axis of the channels in the tensor as the module sees it")]
    shape: Annotated[list[int | str], Meta(description="of the tensor, the sample axis as 'N'")]
    depth: Annotated[int, Meta(description="place in the order of execution, from 0")]
    same_as: Annotated[SameAs | None, Meta(description="the site that sees the same tensor and is shown in its place")]
    normalized_by: Annotated[str | None, Meta(description="the norm that already acts on this tensor, if any")]
    statistics: Annotated[dict[str, Statistics], Meta(description="by checkpoint id")]
    source: Annotated[
        SourceLine | None, Meta(description="the line that makes the module; null where it could not be found")
    ] = None


class Measure(Struct, frozen=True, kw_only=True, gc=False):  # thousands, of scalars, which refer to nothing
    """A measure between two columns, with what sampling alone would give."""

    value: Annotated[float | None, Meta(description="in the unit of the measure; null where it could not be measured")]
    noise: Annotated[
        float | None,
        Meta(description="95th percentile between random halves of one checkpoint's samples, in the same unit"),
    ]
    low: Annotated[
        float | None,
        Meta(
            description="lower end of its 95 % jackknife interval, of pairs or of independent samples, in the same unit"
        ),
    ]
    high: Annotated[float | None, Meta(description="upper end of it, in the same unit")]
    significant: Annotated[bool, Meta(description="the interval clears the noise and the value a stated effect size")]
    status: Annotated[str | None, Meta(description="why the value is null, where it is")] = None


class Shift(Struct, frozen=True, kw_only=True):
    """How one site moved between two columns."""

    site: Annotated[str, Meta(description="as in sites")]
    position: Annotated[Position, Meta(description="as in sites")]
    from_: Annotated[str, Meta(description="id of the earlier checkpoint")] = field(name="from")
    to: Annotated[str, Meta(description="id of the later checkpoint")]
    measures: Annotated[
        dict[str, Measure],
        Meta(
            description="by name. In standard deviations of the site: standardized_mean_difference, gaussian_w2, "
            "wasserstein_1, excess_shift, excess_mean_difference; for each unit of relative weight change: "
            "shift_per_weight_movement. Natural logarithm of a ratio: log_variance_ratio, absolute_log_variance_ratio, "
            "excess_log_variance_ratio, effective_rank. In nats: jensen_shannon, population_stability_index. "
            "0 to about 1: kolmogorov_smirnov, linear_cka_distance"
        ),
    ]
    channels_shifted: Annotated[
        float | None,
        Meta(description="share of channels, 0 to 1, whose mean moved by over 0.2 sd at a false discovery rate of 5 %"),
    ]


class Finding(Struct, frozen=True, kw_only=True):
    """A rule that fired, with its evidence."""

    code: Annotated[str, Meta(description="COV and three digits; 'covscan rule CODE' explains it")]
    name: Annotated[str, Meta(description="the rule's name")]
    severity: Annotated[Severity, Meta(description="how grave it is, which is not how sure")]
    site: Annotated[str | None, Meta(description="null where it is about the whole run")]
    position: Annotated[Position | None, Meta(description="which tensor of the site; null where it is about none")] = (
        None
    )
    checkpoint: Annotated[
        str | None, Meta(description="id of the checkpoint it is about; null where about several or none")
    ] = None
    message: Annotated[str, Meta(description="one sentence with the numbers and their noise")]
    evidence: Annotated[
        dict[str, Any], Meta(description="the numbers that it rests on, by name; each rule has its own")
    ]
    suppressed: Annotated[
        str | None, Meta(description="the reason given for leaving it out of the verdict; null where it counts")
    ] = None


Tier = Literal["forward", "gradient", "probe", "trial"]
Verdict = Literal["recommended", "worth testing", "no evidence", "would likely harm"]


class Candidate(Struct, frozen=True, kw_only=True):
    """A place where a normalization could go."""

    site: Annotated[str, Meta(description="module name or ONNX value name")]
    position: Annotated[Literal["before", "after"], Meta(description="in front of the module or behind it")]
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


class Suggestion(Struct, frozen=True, kw_only=True):
    """A candidate that covscan would act on."""

    rank: Annotated[int, Meta(description="from 1, the best")]
    site: Annotated[str, Meta(description="module name or ONNX value name")]
    position: Annotated[Literal["before", "after"], Meta(description="in front of the module or behind it")]
    norm: Annotated[str, Meta(description="as of the candidate")]
    score: Annotated[float, Meta(description="as of the candidate, 0 to 1")]
    reason: Annotated[str, Meta(description="why, in sentences")]
    confidence: Annotated[
        Literal["low", "medium", "high"], Meta(description="forward evidence alone is never more than low")
    ]
    tier: Annotated[Tier, Meta(description="what the evidence rests on")]
    evidence: Annotated[dict[str, Any], Meta(description="the numbers that it rests on, by name")]
    patch: Annotated[str, Meta(description="code to paste")]
    runner_up: Annotated[str | None, Meta(description="the next best normalization here")] = None
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


class Report(Struct, frozen=True, kw_only=True):
    """Everything one run of covscan measured and concluded."""

    schema_version: Annotated[
        str,
        Meta(
            description="MAJOR.MINOR of this schema; a minor version adds fields, a major one removes or changes some"
        ),
    ]
    tool: Annotated[Tool, Meta(description="what wrote the report")]
    run: Annotated[Run, Meta(description="when, where and by what command: all that may differ between identical runs")]
    model: Annotated[Model, Meta(description="the network that was opened")]
    checkpoints: Annotated[list[Checkpoint], Meta(description="in order of training")]
    data: Annotated[Data, Meta(description="the samples that were run through it")]
    coverage: Annotated[Coverage, Meta(description="what was measured and what was not")]
    sites: Annotated[list[Site], Meta(description="every tensor that was tapped, in order of execution")]
    shifts: Annotated[
        list[Shift],
        Meta(description="first to each and each to next checkpoint, by site; empty with a single checkpoint"),
    ]
    findings: Annotated[list[Finding], Meta(description="what the rules found, the gate's own behind them")]
    candidates: Annotated[
        list[Candidate], Meta(description="every place where a normalization could go, the best first")
    ]
    suggestions: Annotated[
        list[Suggestion],
        Meta(description="the candidates to act on, the best first; empty where nothing is to be gained"),
    ]
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
