"""Training evidence as the report has it; fields of one name are carried over."""

from typing import TypeVar

import msgspec

from covscan.prove.gradient_types import Gradients, GradientShift
from covscan.prove.types import Trials
from covscan.report import training as records
from covscan.rules.tried import last_only
from covscan.rules.verdicts import as_gain

Record = TypeVar("Record", bound=msgspec.Struct)


def trials_record(found: Trials) -> records.Trials:
    """The short trainings, without what stands at the candidates."""
    return msgspec.structs.replace(_carried(found, records.Trials), last_only=as_gain(last_only(found)))


def gradients_record(found: Gradients) -> records.Gradients:
    """Gradients, gradient shifts and landscapes."""
    return records.Gradients(
        layers=[_carried(each, records.LayerGradient) for each in found.layers],
        shifts=[_shift(each) for each in found.shifts],
        landscapes=[_carried(each, records.Landscape) for each in found.landscapes],
        loss_by_checkpoint={name: found.mean_loss(name) for name in found.loss_by_checkpoint},
        batch_size=found.batch_size,
        batches=found.batches,
        forwards=found.spent_forwards,
    )


def _shift(each: GradientShift) -> records.GradientShift:
    return records.GradientShift(
        layer=each.layer,
        from_=each.start,
        to=each.end,
        relative=each.relative,
        cosine=each.cosine,
        noise=each.noise,
        significant=each.significant,
        status=each.status,
    )


def _carried(found: object, record: type[Record]) -> Record:
    """A record of the fields that ``found`` has by the same names."""
    return msgspec.convert(found, record, from_attributes=True)
