"""What a configuration file may say: its keys are the names of flags, its tables those of a policy."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from covscan.config.policy import Budget, Check, Suppression, Tolerances

Text = Annotated[str, Meta(min_length=1)]
LARGEST = 2**63 - 1
Count = Annotated[int, Meta(ge=1, le=LARGEST)]
Seed = Annotated[int, Meta(ge=-LARGEST - 1, le=LARGEST)]


class Measurement(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """The keys at the top level: what is measured, and on what. Each is the name of a field of ``Settings``."""

    model: Annotated[
        Text | UnsetType,
        Meta(
            description="file.py:function or package.module:function that returns the untrained network; "
            "not needed where the checkpoint holds it"
        ),
    ] = UNSET
    model_args: Annotated[
        dict[str, Any] | UnsetType,
        Meta(description="keyword arguments of that function; --model-arg on the command line replaces one of them"),
    ] = UNSET
    checkpoints: Annotated[
        list[Text] | UnsetType,
        Meta(description="files, folders or globs of checkpoints; given on the command line, they replace these"),
    ] = UNSET
    data: Annotated[
        Text | UnsetType,
        Meta(description="sample data: a file, a folder of images, or file.py:function that returns an iterable"),
    ] = UNSET
    reference_data: Annotated[
        Text | UnsetType,
        Meta(description="another data set: the first of two that one checkpoint is run on, data being the second"),
    ] = UNSET
    target: Annotated[Text | UnsetType, Meta(description="the array of the data that holds the labels")] = UNSET
    mask: Annotated[Text | UnsetType, Meta(description="the array of the data that is 0 where there is padding")] = (
        UNSET
    )
    samples: Annotated[Count | UnsetType, Meta(description="samples to read at most")] = UNSET
    batch_size: Annotated[Count | UnsetType, Meta(description="samples in a batch")] = UNSET
    seed: Annotated[Seed | UnsetType, Meta(description="chooses the samples and the positions")] = UNSET
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"] | UnsetType, Meta(description="where to run: auto, cpu, cuda or mps")
    ] = UNSET
    positions: Annotated[
        Count | Literal["all"] | UnsetType,
        Meta(description="pixels or tokens read per sample and site at most: a number, or 'all'"),
    ] = UNSET
    sites: Annotated[list[Text] | UnsetType, Meta(description="globs of site names: measure only these")] = UNSET
    exclude: Annotated[list[Text] | UnsetType, Meta(description="globs of site names: leave these out")] = UNSET
    train_batch_size: Annotated[
        Count | UnsetType,
        Meta(description="batch size of your training, per device: decides which normalizations are possible"),
    ] = UNSET
    loss: Annotated[
        Text | UnsetType,
        Meta(
            description="what is trained for: cross_entropy, mse, bce, or file.py:function of output and target; "
            "with it, suggestions rest on short trainings"
        ),
    ] = UNSET
    optimizer: Annotated[
        Text | UnsetType,
        Meta(
            description="what you train with: sgd, momentum, adam, adamw, rmsprop, or file.py:function of "
            "parameters and rate"
        ),
    ] = UNSET
    lr: Annotated[
        Annotated[float, Meta(gt=0)] | UnsetType, Meta(description="the learning rate that you train with")
    ] = UNSET
    evidence: Annotated[
        Literal["forward", "gradient", "probe", "trial"] | UnsetType,
        Meta(description="go no further than forward, gradient, probe or trial; as far as the input allows without it"),
    ] = UNSET
    trial_steps: Annotated[
        Count | UnsetType, Meta(description="training steps to spend at most; what a few minutes allow without it")
    ] = UNSET
    train_samples: Annotated[
        Annotated[int, Meta(ge=2, le=LARGEST)] | UnsetType,
        Meta(description="samples that the trainings draw from at most"),
    ] = UNSET
    per_channel: Annotated[bool | UnsetType, Meta(description="write per-channel statistics to the JSON report")] = (
        UNSET
    )
    jobs: Annotated[
        Count | UnsetType, Meta(description="checkpoints measured at once, each in a process of its own")
    ] = UNSET
    threads: Annotated[
        Count | UnsetType, Meta(description="threads that compute in each process; one for each core without it")
    ] = UNSET
    cache: Annotated[bool | UnsetType, Meta(description="keep what was measured, and measure only what is new")] = UNSET


class Document(Measurement, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What covscan measures and what must hold: covscan.toml, or the table [tool.covscan] of pyproject.toml.

    Keys at the top level are the names of flags, which win over them. Paths are relative to the file.
    """

    check: Annotated[Check | UnsetType, Meta(description="what counts, and from which severity on")] = UNSET
    budgets: Annotated[
        dict[str, Budget] | UnsetType,
        Meta(description="limits by name; a key of a budget of the preset replaces that key of it"),
    ] = UNSET
    suppressions: Annotated[
        list[Suppression] | UnsetType, Meta(description="findings that do not count, each with the reason")
    ] = UNSET
    baseline: Annotated[
        Tolerances | UnsetType, Meta(description="the baseline to compare with, and how much worse is borne")
    ] = UNSET
