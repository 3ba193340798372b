"""What ``covscan explain`` says: how each number of a site came about. No torch, no numpy."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from covscan.report.types import Checkpoint, Data, Model, Position, SameAs, SourceLine

Kind = Literal["statistic", "measure", "gradient"]


class Check(Struct, frozen=True, kw_only=True):
    """One number computed again from others of the same report."""

    formula: Annotated[str, Meta(description="how the number follows from others")]
    numbers: Annotated[str, Meta(description="the same with the numbers put in")]
    stated: Annotated[str, Meta(description="what the report says")]
    agrees: Annotated[bool, Meta(description="whether that is the same, as far as six digits tell")]


class Definition(Struct, frozen=True, kw_only=True):
    """What a number is."""

    name: Annotated[str, Meta(description="of the statistic or the measure")]
    kind: Kind
    meaning: Annotated[str, Meta(description="what it says, with its unit")]
    formula: Annotated[str, Meta(description="how it is computed; of a measure also range, blind spots and source")]
    basis: Annotated[str, Meta(description="whether it is exact, or from which rows")]
    source: Annotated[str, Meta(description="who proposed it; empty where nobody is named")] = ""
    material: Annotated[
        float | None, Meta(description="from which size on a measure matters; null for what is no measure")
    ] = None


class Value(Struct, frozen=True, kw_only=True):
    """One number of the report."""

    name: Annotated[str, Meta(description="of the statistic or the measure")]
    kind: Kind
    from_checkpoint: Annotated[str | None, Meta(description="id of the earlier checkpoint; null for a statistic")] = (
        None
    )
    checkpoint: Annotated[str, Meta(description="id of the checkpoint, or of the later one")]
    value: Annotated[float | None, Meta(description="as in the report")]
    noise: Annotated[float | None, Meta(description="as in the report")] = None
    low: Annotated[float | None, Meta(description="as in the report")] = None
    high: Annotated[float | None, Meta(description="as in the report")] = None
    significant: Annotated[bool | None, Meta(description="as in the report; null for a statistic")] = None
    status: Annotated[str | None, Meta(description="why there is no value")] = None
    why: Annotated[str, Meta(description="why it counts or does not, with the numbers; empty for a statistic")] = ""
    checks: Annotated[list[Check], Meta(description="what could be computed again")] = []
    cited_by: Annotated[list[str], Meta(description="codes of findings, and suggestions, that rest on it")] = []


class Citation(Struct, frozen=True, kw_only=True):
    """Something that the report concludes from numbers of this site."""

    what: Annotated[str, Meta(description="code and name of a finding, or which candidate, suggestion or budget")]
    message: Annotated[str, Meta(description="what it says")]
    rests_on: Annotated[list[str], Meta(description="numbers of this site that it cites, with their values")]
    rule: Annotated[str, Meta(description="what is measured and from where on it speaks")]
    checks: Annotated[list[Check], Meta(description="what could be computed again")] = []


class Column(Struct, frozen=True, kw_only=True):
    """One checkpoint, with the model and the data that it was run with where those differ from the report's."""

    checkpoint: Checkpoint
    rows: Annotated[float | None, Meta(description="rows of channels that were read; null where nothing was")]
    kept: Annotated[int | None, Meta(description="of these in the sample that percentiles and directions are from")]
    model: Model
    data: Data


class Explanation(Struct, frozen=True, kw_only=True):
    """Where the numbers of one site come from, and what rests on them."""

    schema: str = "covscan-explain 1.0"
    report: Annotated[str, Meta(description="which report, by its path")]
    version: Annotated[str, Meta(description="of the covscan that wrote it")]
    command: Annotated[str, Meta(description="what was run")]
    site: str
    position: Position
    others: Annotated[list[str], Meta(description="other positions of the same module that the report has")]
    type: str
    role: str
    channels: int
    channel_axis: int
    shape: list[int | str]
    same_as: SameAs | None
    normalized_by: str | None
    source: SourceLine | None
    reading: Annotated[list[str], Meta(description="how rows were cut out of the tensor, in sentences")]
    columns: Annotated[list[Column], Meta(description="the checkpoints that were asked for, in order")]
    definitions: Annotated[list[Definition], Meta(description="each name once, in the order of the report")]
    values: Annotated[list[Value], Meta(description="every number that was asked for")]
    citations: list[Citation]
    certainty: Annotated[list[str], Meta(description="what noise, interval and significance mean, in sentences")]
    checked: Annotated[int, Meta(description="numbers that were computed again")]
    disagreeing: Annotated[list[str], Meta(description="those that did not come out as the report says")]
