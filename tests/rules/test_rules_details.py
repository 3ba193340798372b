"""What the single rules say beside firing: grades, merging, wording, and the odd values they bear."""

import pytest
from evidence_factory import Call, batchnorm, evidence, mlp, moved, per_sample
from msgspec import structs
from rule_cases import TRAINED, blocks, norms, scales

from covscan.report.types import Skipped
from covscan.rules import judge
from covscan.rules.branches import branch_output
from covscan.rules.depth_null import expected, rectified_cosine
from covscan.rules.lookup import graph_of, hidden_layers
from covscan.rules.words import listed, number, plural, share

TOKENS = ("N", 8, 64)


def fired(made, code):
    return [finding for finding in judge(made).findings if finding.code == code]


def test_numbers_read_well():
    assert [number(value) for value in (0.123456, 1234.5, 8.5e6, 3e9, 1e-7)] == [
        "0.123",
        "1,234",
        "8,500,000",
        "3e+09",
        "1e-07",
    ]
    assert [share(value) for value in (0.0, 0.004, 0.5, 1.0)] == ["0 %", "0.4 %", "50 %", "100 %"]
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert (plural(1, "batch", "batches"), plural(2, "batch", "batches")) == ("1 batch", "2 batches")


def test_neighbours_that_moved_alike_make_one_finding_at_the_largest():
    sizes = {"fc1": 0.3, "act1": 0.5, "fc2": 0.9, "act2": 0.4}
    shifts = {site: {"standardized_mean_difference": moved(size)} for site, size in sizes.items()}
    shifts["head"] = {"standardized_mean_difference": moved(0.25)}
    found = fired(evidence(shifts=shifts, steps=TRAINED), "COV201")
    assert [(finding.site, finding.severity) for finding in found] == [("fc2", "warning"), ("head", "info")]
    assert "the most of 4 neighbouring sites from fc1 to act2" in found[0].message
    assert list(found[0].evidence["sites"].values()) == [0.3, 0.5, 0.9, 0.4]


LARGE_SHIFTS = {
    "COV201": ("standardized_mean_difference", 0.9),
    "COV202": ("log_variance_ratio", 3.0),
    "COV204": ("linear_cka_distance", 0.6),
    "COV205": ("excess_shift", 1.2),
    "COV206": ("effective_rank", -1.0),
    "COV207": ("gaussian_w2", 0.45),
}


@pytest.mark.parametrize(("code", "shift"), LARGE_SHIFTS.items())
@pytest.mark.parametrize(
    ("steps", "severity"), [((0, 50, 100), "info"), ((1, 50, 100), "warning"), ((None, None, None), "warning")]
)
def test_a_shift_from_an_untrained_start_is_information(code, shift, steps, severity):
    """`--fail-on warning` failed every normal training from step 0."""
    measure, size = shift
    found = fired(evidence(shifts={"fc2": {measure: moved(size)}}, steps=steps), code)
    assert [finding.severity for finding in found] == [severity]


@pytest.mark.parametrize(("fresh", "severity"), [(True, "info"), (False, "warning")])
def test_without_a_step_the_normalizations_tell_an_untrained_start(fresh, severity):
    shifts = {"fc2": {"standardized_mean_difference": moved(0.9)}}
    norms = {"norm1": batchnorm(initial_affine=fresh)}
    made = evidence(mlp(norm="BatchNorm1d"), shifts=shifts, steps=(None, None), norms=norms)
    assert [finding.severity for finding in fired(made, "COV201")] == [severity]


def test_variances_that_change_up_and_down_are_seen_by_their_size():
    shifts = {"fc2": {"absolute_log_variance_ratio": moved(1.0)}}
    found = fired(evidence(shifts=shifts), "COV202")
    assert "2.72-fold, up and down" in found[0].message
    shifts["fc2"]["log_variance_ratio"] = moved(1.0)
    assert "grew" in fired(evidence(shifts=shifts), "COV202")[0].message


def test_shape_is_named_by_the_measure_that_saw_it():
    found = fired(evidence(shifts={"fc2": {"kolmogorov_smirnov": moved(0.2)}}), "COV203")
    assert "KS 0.2" in found[0].message


def test_sources_are_ranked_and_small_ones_left_out():
    shifts = {
        site: {"excess_shift": moved(size)} for site, size in (("fc1", 0.5), ("fc2", 2.0), ("fc3", 1.2), ("head", 0.9))
    }
    found = fired(evidence(shifts=shifts), "COV205")
    assert [finding.site for finding in found] == ["fc2", "fc3"]
    assert "the largest of 4 layers" in found[0].message
    assert found[0].evidence["sources"] == {"fc2": 2.0, "fc3": 1.2, "head": 0.9, "fc1": 0.5}


def test_noise_that_hides_most_shifts_is_told():
    hidden = {"gaussian_w2": moved(0.4, significant=False, noise=0.5)}
    made = evidence(shifts={"fc1": hidden, "fc2": hidden, "fc3": {"gaussian_w2": moved(0.4)}})
    assert "67 %" in fired(made, "COV101")[0].message
    assert fired(evidence(shifts={"fc1": hidden, "fc2": {"gaussian_w2": moved(0.4)}}), "COV101") == []


def test_most_places_skipped_is_a_warning():
    skipped = [Skipped(site=f"s{n}", reason="int64 values") for n in range(40)]
    assert fired(evidence(skipped=skipped), "COV106")[0].severity == "warning"


@pytest.mark.parametrize(("steps", "severity"), [((0,), "info"), ((10,), "warning")])
def test_a_constant_before_training_may_be_meant(steps, severity):
    constant = {"act2": {"channel_scale": 0.0, "channel_mean_square": 0.0}}
    assert fired(evidence(steps=steps, statistics=constant), "COV110")[0].severity == severity


def test_padding_is_told_once_and_only_of_embeddings_of_sequences():
    flat = [Call("embed", "Embedding"), Call("head", "Linear")]
    assert fired(evidence(flat, statistics={"embed": {"zero_share": 0.5}}), "COV108") == []
    assert fired(evidence(statistics={"act1": {"zero_share": 0.5}}), "COV108") == []


def test_growth_counts_from_what_the_network_reads():
    made = scales(33.0, 550.0, 9000.0)
    found = fired(made, "COV211")
    assert "from the input to fc3" in found[0].message
    assert fired(scales(1 / 3, 1 / 18, 1 / 108), "COV212") == []


def test_a_sustained_change_below_a_thousandfold_is_information():
    assert fired(scales(1, 5, 25, 125), "COV211")[0].severity == "info"
    assert fired(scales(1, 0.2, 0.04, 0.008), "COV212")[0].severity == "info"


def test_the_depth_null_is_that_of_random_rectifier_networks():
    """q behind 1 ... 8 rectifiers for uncorrelated inputs, as derived and simulated elsewhere."""
    table = (0.47, 0.98, 1.5, 2.1, 2.8, 3.5, 4.2, 5.0)
    made = evidence(mlp(depth=9), statistics={"fc1.in": {"cross_sample_cosine": 0.0}})
    graph = graph_of(made)
    found = [expected(made, graph, layer, made.checkpoints[-1]) for layer in hidden_layers(made, graph)]
    assert found[0] == pytest.approx(0.0)
    assert found[1:] == pytest.approx(table, rel=0.06)
    assert rectified_cosine(1.0) == 1.0


def test_the_depth_null_starts_behind_a_normalization_and_keeps_cosines_through_odd_activations():
    cosine = {"fc1.in": {"cross_sample_cosine": 0.5}}
    odd = evidence(mlp(activation="Tanh"), statistics=cosine)
    graph = graph_of(odd)
    last = hidden_layers(odd, graph)[-1]
    assert expected(odd, graph, last, odd.checkpoints[-1]) == pytest.approx(1.0)
    chain = [Call("fc0", "Linear"), Call("norm", "LayerNorm"), *mlp()]
    normed = evidence(chain, statistics={"fc0.in": {"cross_sample_cosine": 0.9}})
    graph = graph_of(normed)
    last = hidden_layers(normed, graph)[-1]
    assert expected(normed, graph, last, normed.checkpoints[-1]) == pytest.approx(0.98, rel=0.05)
    unknown = evidence(statistics={"fc1.in": {"cross_sample_cosine": None}})
    graph = graph_of(unknown)
    assert expected(unknown, graph, hidden_layers(unknown, graph)[0], unknown.checkpoints[-1]) is None


def test_means_are_judged_against_what_the_depth_explains():
    values = {"fc1.in": {"cross_sample_cosine": 0.0}, "fc3": {"mean_to_variance": 1.8}}
    assert fired(evidence(statistics=values), "COV213") == []
    values["fc3"] = {"mean_to_variance": 2.2}
    assert fired(evidence(statistics=values), "COV213")[0].severity == "info"


def test_conditioning_that_few_samples_give_is_not_told():
    few = {"act1": {"conditioning": 63.8, "samples": 4}}
    assert fired(evidence(statistics=few), "COV215") == []


def test_growth_that_is_tenfold_is_information_and_linear_growth_is_none():
    assert fired(blocks(1, 1.5, 3, 9, 27), "COV220")[0].severity == "info"
    assert fired(blocks(1, 2, 3), "COV220") == []
    assert fired(blocks(1, 0.5, 0.4, 20, 40), "COV220")[0].evidence["acceleration"] == 40


def test_an_output_norm_follows_the_kind_in_use_and_needs_one():
    made = blocks(1, 4, 16, 64, 256, norm_first=True)
    assert branch_output(made).norm == "LayerNorm"
    assert branch_output(blocks(1, 4, 16, 64, 256)) is None
    suggestion = judge(made).suggestions[0]
    assert (suggestion.site, suggestion.norm) == ("b4.fc", "LayerNorm")
    assert "model.b4.fc = nn.Sequential(model.b4.fc, nn.LayerNorm(64))" in suggestion.patch
    flat = blocks(1, 4, 16, 64, 256, norm_first=True)
    for site in flat.sites:
        if site.role == "block":
            structs.force_setattr(site, "site", f"other{site.depth}")
    assert branch_output(flat) is None


def test_logits_that_were_not_measured_first_have_not_risen():
    made = evidence(logits={"attention": 5e3})
    for site in made.sites:
        if site.position == "logits":
            del site.statistics["step-0"]
    assert fired(made, "COV502") == []
    assert "over 1,000 at 1 call more" in fired(evidence(logits={"a": 2e3, "b": 3e3}), "COV219")[0].message


@pytest.mark.parametrize(
    ("changes", "severity", "words"),
    [
        ({"stale_mean": 0.15}, "info", "median channel"),
        ({"stale_mean": 0.3}, "warning", "median channel"),
        ({"stale_mean_share": 0.2}, "warning", "20 % of the channels are off by over 0.5"),
        ({"stale_variance_share": 0.2}, "warning", "over twofold"),
    ],
)
def test_stale_statistics_are_graded(changes, severity, words):
    found = fired(norms(**changes), "COV401")
    assert found[0].severity == severity
    assert words in found[0].message


def test_a_moving_average_of_few_batches_is_told():
    found = fired(norms(batches_tracked=20, coverage=0.88), "COV402")
    assert found[0].severity == "warning"
    assert "20 batches" in found[0].message


def test_never_updated_is_no_fault_before_training():
    made = evidence(mlp(norm="BatchNorm1d"), steps=(0,), norms={"norm1": batchnorm(never_updated=True)})
    assert fired(made, "COV402")[0].severity == "info"
    unknown = {"norm1": batchnorm(never_updated=True, initial_affine=True)}
    assert fired(evidence(mlp(), steps=(None,), norms=unknown), "COV402")[0].severity == "info"


def test_discrepancy_that_grows_with_depth_is_told_and_one_norm_is_not_averaged():
    growing = {f"norm{n}": batchnorm(discrepancy_mean=0.1 + 0.1 * n, discrepancy_mean_null=0.0) for n in (1, 2, 3)}
    found = fired(evidence(mlp(norm="BatchNorm1d"), norms=growing), "COV409")
    assert "growing with depth" in found[0].message
    assert found[0].evidence["slope_per_norm"] == pytest.approx(0.1)
    assert found[0].evidence["discrepancy"] == pytest.approx(0.3)
    assert fired(evidence(norms={"norm1": growing["norm3"]}), "COV409") == []


@pytest.mark.parametrize(
    ("changes", "severity", "words"),
    [
        ({"gamma_all_zero": True}, "info", "every gain is zero"),
        ({"dead_after_relu_share": 0.4}, "warning", "can't get past"),
        ({"gamma_collapsed_share": 0.4}, "warning", "collapsed"),
    ],
)
def test_gains_are_told_apart(changes, severity, words):
    found = fired(norms(**changes), "COV403")
    assert found[0].severity == severity
    assert words in found[0].message


def test_tiny_variances_within_samples_are_an_error():
    made = evidence(norms={"norm1": per_sample("instance", tiny_variance_share=0.3)})
    assert "30 %" in fired(made, "COV410")[0].message


def test_norms_between_linear_layers_are_told():
    found = fired(norms(between_linear=("a", "b")), "COV412")
    assert "between a and b" in found[0].message


@pytest.mark.parametrize(("size", "severity"), [(1, "error"), (4, "warning"), (16, "info")])
def test_small_batches_are_graded(size, severity):
    made = evidence(norms={"norm1": batchnorm()}, train_batch_size=size)
    assert fired(made, "COV407")[0].severity == severity
    frozen = evidence(norms={"norm1": batchnorm(frozen=True), "ln": per_sample("layer")}, train_batch_size=size)
    assert fired(frozen, "COV407") == []


def test_positions_that_are_alike_make_a_batch_smaller_than_it_looks():
    alike = evidence(norms={"norm1": batchnorm(elements=64, effective_per_sample=1.0)}, train_batch_size=4)
    apart = evidence(norms={"norm1": batchnorm(elements=64, effective_per_sample=50.0)}, train_batch_size=4)
    assert fired(alike, "COV407")
    assert fired(apart, "COV407") == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"uses_batch_statistics": True}, "depends on its batch"),
        ({"momentum": 0.0}, "frozen"),
        ({"frozen": True}, "frozen"),
    ],
)
def test_batchnorms_that_do_not_work_as_such(changes, words):
    assert words in fired(norms(**changes), "COV408")[0].message
    assert fired(evidence(norms={"ln": per_sample("layer", frozen=True)}), "COV408") == []


def test_padding_in_batchnorm_is_information_where_its_statistics_fit():
    calls = [
        Call("conv", "Conv1d", shape=("N", 64, 8)),
        Call("norm1", "BatchNorm1d", shape=("N", 64, 8)),
        Call("head", "Linear"),
    ]
    fits = {"norm1": batchnorm(site="conv", position="output"), "rows": batchnorm(site="elsewhere")}
    found = fired(evidence(calls, norms=fits, masked=True), "COV413")
    assert (found[0].site, found[0].severity) == ("norm1", "info")
    assert list(found[0].evidence["norms"]) == ["norm1"]


def test_the_other_momentum_no_longer_acts_in_onnx():
    made = evidence(mlp(norm="BatchNorm1d"), norms={"norm1": batchnorm(momentum=0.9)}, engine="onnx")
    assert fired(made, "COV414")[0].severity == "info"


def test_the_worst_normalization_speaks_for_all():
    many = {f"norm{n}": batchnorm(eps_share=size) for n, size in ((1, 0.2), (2, 0.7), (3, 0.3))}
    found = fired(evidence(mlp(norm="BatchNorm1d"), norms=many), "COV404")
    assert [finding.site for finding in found] == ["norm2"]
    assert "2 normalizations more" in found[0].message
    assert found[0].evidence["norms"] == {"norm1": 0.2, "norm2": 0.7, "norm3": 0.3}


def test_findings_come_by_severity_then_code():
    made = evidence(
        samples=16, data_nonfinite={"the sample data": 1}, weights_nonfinite={"step-0": ("w",)}, never_fired=("aux",)
    )
    found = [(finding.severity, finding.code) for finding in judge(made).findings]
    assert found == [
        ("error", "COV104"), ("warning", "COV101"), ("warning", "COV112"), ("info", "COV105"), ("info", "COV504")
    ]  # fmt: skip


def test_a_network_without_hidden_layers_has_nothing_to_gain():
    found = fired(evidence([Call("only", "Linear")]), "COV504")
    assert "no hidden layer was measured" in found[0].message


def test_where_nothing_is_finite_no_calm_is_claimed():
    broken = {"nonfinite_share": 1.0, "count": 0, "channel_scale": None, "cross_sample_cosine": None}
    names = ["fc1.in", *(f"{kind}{number}" for kind in ("fc", "act") for number in (1, 2, 3)), "head"]
    made = evidence(statistics=dict.fromkeys(names, broken))
    made.coverage.non_finite.extend(["fc1", "fc2", "fc3", "head"])
    assert fired(made, "COV504") == []


def test_which_nonlinearity_is_the_main_one_does_not_depend_on_the_order_of_a_set():
    """With as many sigmoids as rectifiers the one that runs first counts, in every process alike."""
    chain = [
        Call("fc1", "Linear"), Call("relu", "ReLU"), Call("fc2", "Linear"), Call("sigmoid", "Sigmoid"),
        Call("fc3", "Linear", fresh=True), Call("head", "Linear", channels=10),
    ]  # fmt: skip
    assert ("fc2", "after") not in {(c.site, c.position) for c in judge(evidence(chain)).candidates}
