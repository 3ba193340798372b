"""Training evidence as the report has it."""

from covscan.prove.gradient_types import Gradients
from covscan.prove.types import Trials
from covscan.report import types as records
from covscan.rules.tried import last_only
from covscan.rules.verdicts import as_gain


def trials_record(found: Trials) -> records.Trials:
    """The short trainings, without what stands at the candidates."""
    return records.Trials(
        tier=found.tier,
        intervention=found.intervention,
        start=found.start,
        loss=found.loss,
        optimizer=found.optimizer,
        rate=found.rate,
        best_rate=found.best_rate,
        batch_size=found.batch_size,
        samples=found.samples,
        everywhere=as_gain(found.everywhere),
        last_only=as_gain(last_only(found)),
        rivals={name: gain for name, each in found.rivals.items() if (gain := as_gain(each)) is not None},
        curve_without=list(found.curve_without),
        curve_with=list(found.curve_with),
        steps=found.steps,
        forwards=found.forwards,
        budget=found.budget,
    )


def gradients_record(found: Gradients) -> records.Gradients:
    """Gradients, gradient shifts and landscapes."""
    return records.Gradients(
        layers=[
            records.LayerGradient(
                layer=each.layer,
                checkpoint=each.checkpoint,
                gradient_norm=each.gradient_norm,
                gradient_rms=each.gradient_rms,
                weight_norm=each.weight_norm,
                relative_gradient=each.relative_gradient,
                update_ratio=each.update_ratio,
                gradient_noise=each.gradient_noise,
                scale_invariance=each.scale_invariance,
                status=each.status,
            )
            for each in found.layers
        ],
        shifts=[
            records.GradientShift(
                layer=each.layer,
                from_=each.start,
                to=each.end,
                relative=each.relative,
                cosine=each.cosine,
                noise=each.noise,
                significant=each.significant,
                status=each.status,
            )
            for each in found.shifts
        ],
        landscapes=[
            records.Landscape(
                checkpoint=each.checkpoint,
                rate=each.rate,
                rate_known=each.rate_known,
                loss=each.loss,
                loss_after=each.loss_after,
                loss_low=each.loss_low,
                loss_high=each.loss_high,
                predictiveness=each.predictiveness,
                effective_smoothness=each.effective_smoothness,
                sharpness=each.sharpness,
                sharpness_error=each.sharpness_error,
                stability=each.stability,
                status=each.status,
            )
            for each in found.landscapes
        ],
        loss_by_checkpoint={name: found.mean_loss(name) for name in found.loss_by_checkpoint},
        batch_size=found.batch_size,
        batches=found.batches,
        forwards=found.spent_forwards,
    )
