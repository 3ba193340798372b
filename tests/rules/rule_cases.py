"""For each rule a case where it fires and one, close by, where it must not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evidence_factory import Call, batchnorm, evidence, mlp, moved, per_sample, two_sides

from covscan.prove.gradient_types import Gradients, GradientShift, Landscape, LayerGradient, Turn
from covscan.report.types import Skipped
from covscan.rules.evidence import Evidence


@dataclass(frozen=True)
class Case:
    """Evidence on which a rule fires with ``severity`` at ``site``, and evidence on which it doesn't."""

    fires: Callable[[], Evidence]
    quiet: Callable[[], Evidence]
    severity: str
    site: str | None = None


BN = mlp(norm="BatchNorm1d")
SHIFTED = "standardized_mean_difference"
TRAINED = (100, 200)
"""Steps of a series that starts from a trained state: a shift from step 0 is never more than information."""
TOKENS = [
    Call("embed", "Embedding", shape=("N", 8, 64)),
    Call("fc", "Linear", shape=("N", 8, 64)),
    Call("head", "Linear"),
]


def norms(**changes: object) -> Evidence:
    return evidence(BN, norms={"norm1": batchnorm(**changes), "norm2": batchnorm(site="norm2")})


def norm(kind: str, **changes: object) -> Evidence:
    return evidence(mlp(norm="LayerNorm"), norms={"norm1": per_sample(kind, **changes)})


def scales(*values: float, calls: list[Call] | None = None) -> Evidence:
    chain = calls or mlp(depth=len(values))
    named = {f"fc{number}": {"channel_scale": value} for number, value in enumerate(values, start=1)}
    return evidence(chain, statistics=named)


def blocks(*values: float, norm_first: bool = False) -> Evidence:
    calls = []
    shape = ("N", 8, 64)
    for number in range(len(values)):
        if norm_first:
            calls.append(Call(f"b{number}.norm", "LayerNorm", shape=shape))
        calls.append(Call(f"b{number}.fc", "Linear", shape=shape))
        calls.append(Call(f"b{number}", "Block", shape=shape))
    calls.append(Call("head", "Linear", channels=10, shape=("N", 8, 10)))
    named = {f"b{number}": {"channel_scale": value} for number, value in enumerate(values)}
    kinds = {f"b{number}.norm": per_sample("layer") for number in range(len(values))} if norm_first else {}
    return evidence(calls, statistics=named, norms=kinds)


def shift(site: str, measure: str, value: float, **also: float) -> Evidence:
    measures = {name: moved(each) for name, each in {measure: value, **also}.items()}
    return evidence(shifts={site: measures}, steps=TRAINED)


def drift(*, seen: bool) -> Evidence:
    small = {"gaussian_w2": moved(0.15, significant=seen)}
    return evidence(steps=(10, 20, 30, 40), shifts={"fc2": {"gaussian_w2": moved(0.45)}}, step_shifts={"fc2": small})


def masked_norm(*, masked: bool) -> Evidence:
    calls = [
        Call("conv", "Conv1d", shape=("N", 64, 8)),
        Call("norm1", "BatchNorm1d", shape=("N", 64, 8)),
        Call("head", "Linear"),
    ]
    found = batchnorm(site="conv", position="output", stale_mean=0.4)
    return evidence(calls, norms={"norm1": found}, masked=masked)


def batch(size: int | None, **changes: object) -> Evidence:
    return evidence(BN, norms={"norm1": batchnorm(**changes)}, train_batch_size=size)


def missing_site() -> Evidence:
    made = evidence()
    for site in made.sites:
        if site.site == "fc2":
            del site.statistics["step-0"]
    return made


def with_gradients(**fields: Any) -> Evidence:
    """Evidence of two checkpoints with these fields of ``Gradients``."""
    known: dict[str, Any] = {
        "layers": (), "shifts": (), "landscapes": (), "loss_by_checkpoint": {}, "batch_size": 64, "batches": 4,
        "spent_forwards": 100, "checkpoints": ("step-0", "step-100"),
    }  # fmt: skip
    return evidence(mlp(depth=4), gradients=Gradients(**(known | fields)))


def profile(*relative: float, updates: tuple[float, ...] = (), noise: float = 0.5, **fields: Any) -> Evidence:
    """Gradients over weights of one norm, layer by layer, at the last checkpoint."""
    layers = tuple(
        LayerGradient(
            f"fc{number}", "step-100", each, 1.0, each, updates[number - 1] if updates else None, noise, 0.1, each
        )
        for number, each in enumerate(relative, start=1)
    )
    return with_gradients(layers=layers, **fields)


def step(stability: float, *, after: float | None, first: float | None = None, **fields: Any) -> Evidence:
    """A landscape at the last checkpoint, whose loss is 0.5, and one at the first where its stability is given."""

    def landscape(name: str, value: float, then: float | None) -> Landscape:
        return Landscape(name, 0.1, 0.4, 0.9, 0.5, 2.0, 20 * value, value, loss=0.5, loss_after=then)

    made = [] if first is None else [landscape("step-0", first, 0.4)]
    return with_gradients(landscapes=(*made, landscape("step-100", stability, after)), **fields)


def losses(*by_checkpoint: tuple[float | None, ...]) -> Evidence:
    names = tuple(f"step-{number}" for number in range(len(by_checkpoint)))
    return with_gradients(checkpoints=names, loss_by_checkpoint=dict(zip(names, by_checkpoint, strict=True)))


def turning(*cosines: float | None) -> Evidence:
    named = [(f"step-{number}", cosine) for number, cosine in enumerate(cosines)]
    return with_gradients(turns=tuple(Turn(None, "before", name, "after", cosine) for name, cosine in named))


def gradient_shifts(**significant: bool) -> Evidence:
    shifts = tuple(
        GradientShift(name, "step-0", "step-100", 0.8 if above else 0.2, 0.6, 0.4, above, preceding=2)
        for name, above in significant.items()
    )
    return with_gradients(shifts=shifts)


CASES: dict[str, Case] = {
    "COV101": Case(lambda: evidence(samples=16), lambda: evidence(samples=64), "warning"),
    "COV102": Case(lambda: evidence(steps=(0,)), evidence, "info"),
    "COV103": Case(
        lambda: evidence(statistics={"fc2": {"nonfinite_share": 0.1}, "fc3": {"nonfinite_share": 1.0}}),
        lambda: evidence(statistics={"fc2": {"nonfinite_share": 0.0}}),
        "error",
        "fc2",
    ),
    "COV104": Case(
        lambda: evidence(weights_nonfinite={"step-100": ("fc1.weight",)}),
        lambda: evidence(weights_nonfinite={"step-0": (), "step-100": ()}),
        "error",
    ),
    "COV105": Case(lambda: evidence(never_fired=("aux",)), evidence, "info"),
    "COV106": Case(
        lambda: evidence(skipped=[Skipped(site="ids", reason="int64 values")]),
        lambda: evidence(skipped=[Skipped(site="ids", reason="int64 values", checkpoint="step-0")]),
        "info",
    ),
    "COV107": Case(missing_site, evidence, "warning", "fc2"),
    "COV108": Case(
        lambda: evidence(TOKENS, statistics={"embed": {"zero_share": 0.3}}),
        lambda: evidence(TOKENS, statistics={"embed": {"zero_share": 0.3}}, masked=True),
        "info",
        "embed",
    ),
    "COV109": Case(
        lambda: evidence(notes=("BatchNorm may have been folded into the convolutions at export",), engine="onnx"),
        lambda: evidence(engine="onnx"),
        "info",
    ),
    "COV110": Case(
        lambda: evidence(statistics={"act2": {"channel_scale": 0.0, "channel_mean_square": 0.0}}),
        lambda: evidence(statistics={"act2": {"channel_scale": 1e-9, "channel_mean_square": 1e-9}}),
        "warning",
        "act2",
    ),
    "COV111": Case(lambda: evidence(nondeterministic=("output",)), evidence, "warning"),
    "COV112": Case(lambda: evidence(data_nonfinite={"the sample data": 3}), evidence, "warning"),
    "COV201": Case(
        lambda: shift("fc2", SHIFTED, 0.9),
        lambda: evidence(shifts={"fc2": {SHIFTED: moved(0.9, significant=False)}}),
        "warning",
        "fc2",
    ),
    "COV202": Case(
        lambda: shift("fc2", "log_variance_ratio", -3.0),
        lambda: evidence(shifts={"fc2": {"log_variance_ratio": moved(-3.0, significant=False)}}),
        "warning",
        "fc2",
    ),
    "COV203": Case(
        lambda: shift("fc2", "wasserstein_1", 0.3),
        lambda: shift("fc2", "wasserstein_1", 0.3, standardized_mean_difference=0.3),
        "info",
        "fc2",
    ),
    "COV204": Case(
        lambda: shift("fc2", "linear_cka_distance", 0.6),
        lambda: evidence(shifts={"fc2": {"linear_cka_distance": moved(0.6, significant=False)}}),
        "warning",
        "fc2",
    ),
    "COV205": Case(
        lambda: shift("fc2", "excess_shift", 1.2),
        lambda: shift("fc2", "gaussian_w2", 1.2),
        "warning",
        "fc2",
    ),
    "COV206": Case(
        lambda: shift("fc2", "effective_rank", -1.0), lambda: shift("fc2", "effective_rank", 1.0), "warning", "fc2"
    ),
    "COV207": Case(lambda: drift(seen=False), lambda: drift(seen=True), "warning", "fc2"),
    "COV208": Case(
        lambda: two_sides("data", shifts={"fc1.in": {"gaussian_w2": moved(0.5)}, "fc2": {"gaussian_w2": moved(1.0)}}),
        lambda: evidence(shifts={"fc1.in": {"gaussian_w2": moved(0.5)}, "fc2": {"gaussian_w2": moved(1.0)}}),
        "warning",
        "fc1",
    ),
    "COV211": Case(lambda: scales(1, 20, 400, 8000), lambda: scales(1, 20, 30, 20), "warning", "fc4"),
    "COV212": Case(lambda: scales(1, 0.1, 0.01, 1e-4), lambda: scales(1, 0.5, 0.1, 0.3), "warning", "fc4"),
    "COV213": Case(
        lambda: evidence(statistics={"fc2": {"mean_to_variance": 40.0}}),
        lambda: evidence(mlp(norm="BatchNorm1d"), statistics={"fc2": {"mean_to_variance": 40.0}}),
        "warning",
        "fc2",
    ),
    "COV214": Case(
        lambda: evidence(statistics={"fc2": {"cross_sample_cosine": 0.995}}),
        lambda: evidence(statistics={"fc2": {"cross_sample_cosine": 0.85}, "head": {"cross_sample_cosine": 0.995}}),
        "warning",
        "fc2",
    ),
    "COV215": Case(
        lambda: evidence(statistics={"act1": {"conditioning": 63.8}}),
        lambda: evidence(statistics={"act1": {"conditioning": 50.0}}),
        "warning",
        "act1",
    ),
    "COV216": Case(
        lambda: evidence(statistics={"act2": {"dead_channels": 0.6}}),
        lambda: evidence(statistics={"act2": {"dead_channels": 0.2}}),
        "warning",
        "act2",
    ),
    "COV217": Case(
        lambda: evidence(mlp(activation="Sigmoid"), statistics={"fc2": {"saturated_share": 0.8}}),
        lambda: evidence([*mlp(), Call("out", "Sigmoid", channels=10)], statistics={"head": {"saturated_share": 0.8}}),
        "warning",
        "fc2",
    ),
    "COV218": Case(
        lambda: evidence(statistics={"fc2": {"channel_heterogeneity": 3.5}}),
        lambda: evidence(statistics={"fc2": {"channel_heterogeneity": 1.0}}),
        "warning",
        "fc2",
    ),
    "COV219": Case(
        lambda: evidence(logits={"attention": 2e4}), lambda: evidence(logits={"attention": 500.0}), "error", "attention"
    ),
    "COV220": Case(lambda: blocks(1, 4, 16, 64, 256), lambda: blocks(1, 101, 201, 301, 401), "warning", "b4"),
    "COV221": Case(
        lambda: evidence(statistics={"fc2": {"massive_activation": 2000.0, "max": 900.0}}),
        lambda: evidence(statistics={"fc2": {"massive_activation": 2000.0, "max": 9.0}}),
        "info",
        "fc2",
    ),
    "COV301": Case(lambda: profile(1e-6, 1e-5, 1e-3, 1e-2), lambda: profile(1e-2, 1e-5, 1e-6, 1e-2), "warning", "fc1"),
    "COV302": Case(lambda: profile(1e-2, 1e-3, 1e-5, 1e-6), lambda: profile(1e-2, 8e-3, 4e-3, 2e-3), "warning", "fc1"),
    "COV303": Case(lambda: step(1.4, after=0.6), lambda: step(0.9, after=0.6), "warning"),
    "COV304": Case(
        lambda: losses((1, 1.1, 1.2), (3, 3.2, 3.1)), lambda: losses((1, 1.1, 1.2), (1.4, 1.2, 1.1)), "warning"
    ),
    "COV305": Case(lambda: turning(-0.8, -0.9, 0.2), lambda: turning(-0.8, 0.1, 0.2), "warning"),
    "COV306": Case(lambda: gradient_shifts(fc2=True, fc3=False), lambda: gradient_shifts(fc2=False), "info", "fc2"),
    "COV307": Case(
        lambda: profile(1, 1, 1, 1, updates=(1e-8, 1e-3, 1e-3, 1e-3)),
        lambda: profile(1, 1, 1, 1, updates=(1e-5, 1e-3, 1e-3, 1e-3)),
        "warning",
        "fc1",
    ),
    "COV308": Case(lambda: profile(1, 1, 1, 1, noise=1.4), lambda: profile(1, 1, 1, 1, noise=1.2), "info"),
    "COV401": Case(
        lambda: norms(stale_mean=0.6), lambda: norms(stale_mean=0.6, stale_mean_noise=0.7), "warning", "norm1"
    ),
    "COV402": Case(lambda: norms(never_updated=True), norms, "error", "norm1"),
    "COV403": Case(
        lambda: norms(gamma_collapsed_share=0.3), lambda: norms(gamma_collapsed_share=0.02), "warning", "norm1"
    ),
    "COV404": Case(lambda: norms(eps_share=0.6), lambda: norms(eps_share=0.05), "error", "norm1"),
    "COV405": Case(
        lambda: norms(dropout_source="drop1", dropout_variance_ratio=0.6),
        lambda: norms(dropout_source="drop1", dropout_variance_ratio=0.9),
        "warning",
        "norm1",
    ),
    "COV406": Case(lambda: norms(redundant_bias="fc1"), norms, "info", "norm1"),
    "COV407": Case(lambda: batch(4), lambda: batch(64), "warning", "norm1"),
    "COV408": Case(lambda: norms(frozen=True), norms, "info", "norm1"),
    "COV409": Case(lambda: norms(discrepancy_mean=0.6), norms, "warning"),
    "COV410": Case(lambda: norm("group", elements=1), lambda: norm("group", elements=2), "error", "norm1"),
    "COV411": Case(
        lambda: norm("layer", outlier_dominance=0.8), lambda: norm("layer", outlier_dominance=0.3), "info", "norm1"
    ),
    "COV412": Case(lambda: norms(follows_norm="norm0"), norms, "info", "norm1"),
    "COV413": Case(lambda: masked_norm(masked=True), lambda: masked_norm(masked=False), "warning", "norm1"),
    "COV414": Case(lambda: norms(momentum=0.99), norms, "warning", "norm1"),
    "COV415": Case(lambda: batch(8), lambda: batch(8, elements=100), "info", "norm1"),
    "COV501": Case(lambda: evidence(at_first={"fc3": {"cross_sample_cosine": 0.999}}), evidence, "info", "head"),
    "COV502": Case(
        lambda: evidence(logits={"attention": 5e3}, first_logits={"attention": 10.0}),
        lambda: evidence(logits={"attention": 5e3}, first_logits={"attention": 4e3}),
        "warning",
        "attention",
    ),
    "COV503": Case(
        lambda: blocks(1, 4, 16, 64, 256, norm_first=True),
        lambda: blocks(1, 2, 3, 4, 5, norm_first=True),
        "info",
        "b4.fc",
    ),
    "COV504": Case(lambda: evidence(BN), lambda: evidence(at_first={"fc3": {"cross_sample_cosine": 0.999}}), "info"),
}
