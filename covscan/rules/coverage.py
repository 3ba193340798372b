"""What was not measured: modules that never ran, places that could not be read, sites that come and go."""

from collections import Counter
from collections.abc import Iterator

from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.words import listed, plural, share


def never_fired(evidence: Evidence) -> Iterator[Firing]:
    """A module was never called, so nothing is known about it.

    Severity: info.

    ## What it measures
    Which modules no forward pass of the samples went through.

    ## Why it matters
    A layer that the report does not mention was not found healthy, it was not looked at.

    ## When it misleads
    Some modules are only containers of weights that another module reads (the output projection inside
    MultiheadAttention), run in training only (auxiliary heads), or serve inputs that the sample does not hold.

    ## Example
    `aux_head.conv, aux_head.fc were never called`

    ## What to do
    If it should have run, give inputs that reach it. Otherwise exclude it: `--exclude 'aux_head.*'`.

    ## Sources
    PyTorch's documentation: hooks run when a module is called, and at no other time.
    """
    names = evidence.coverage.never_fired
    if names:
        yield Firing(
            severity="info",
            message=f"{plural(len(names), 'module was', 'modules were')} never called: {listed(names)}",
            evidence={"modules": list(names)},
        )


def skipped_sites(evidence: Evidence) -> Iterator[Firing]:
    """Some places of the network could not be measured.

    Severity: warning where over half of all places are missing, else info.

    ## What it measures
    The places that were left out, each with its reason, against those that were measured.

    ## Why it matters
    Conclusions hold for what was measured. The source of a shift may lie in what was not.

    ## When it misleads
    Integer and boolean tensors (token ids, masks) are left out because they have no distribution worth normalizing.

    ## Example
    `7 of 20 places were not measured; most often: int64 values`

    ## What to do
    Read the reasons in the coverage line. Quantized and fused operators can be measured in the float model they were
    made from.

    ## Sources
    None: this is bookkeeping.
    """
    skipped = {skip.site: skip.reason for skip in evidence.coverage.skipped if skip.checkpoint is None}
    if not skipped:
        return
    total = evidence.coverage.measured + len(skipped)
    reason, _ = Counter(skipped.values()).most_common(1)[0]
    yield Firing(
        severity="warning" if len(skipped) > total / 2 else "info",
        message=f"{len(skipped)} of {plural(total, 'place')} ({share(len(skipped) / total)}) could not be measured; "
        f"most often: {reason}",
        evidence={"skipped": len(skipped), "measured": evidence.coverage.measured, "sites": sorted(skipped)},
    )


def sites_differ(evidence: Evidence) -> Iterator[Firing]:
    """A site exists at some checkpoints and not at others.

    Severity: warning.

    ## What it measures
    Which sites have no statistics at one checkpoint or more. Sites are matched by name, never by position. Of two
    models also how many sites of the first have a counterpart in the second: a warning where fewer than half do, else
    told; coverage has the reason of each.

    ## Why it matters
    A layer that was added, removed or renamed between checkpoints has no shift, and whoever compares two networks of
    different shape compares more than training.

    ## When it misleads
    Data-dependent control flow can leave a module out at one checkpoint and not at another.

    ## Example
    `classifier (output) is missing at epoch1, epoch2`

    ## What to do
    Compare checkpoints of one architecture. For a network that grows while it trains, start the series at its last
    change.

    ## Sources
    None: this is bookkeeping.
    """
    yield from _without_counterpart(evidence)
    names = [checkpoint.id for checkpoint in evidence.checkpoints]
    partial = {
        site.site: [name for name in names if name not in site.statistics]
        for site in evidence.sites
        if site.statistics and any(name not in site.statistics for name in names)
    }
    if partial:
        site, missing = next(iter(partial.items()))
        yield Firing(
            severity="warning",
            site=site,
            message=f"{plural(len(partial), 'site is', 'sites are')} not "
            f"{'at every checkpoint' if evidence.kind == 'checkpoints' else 'on both sides'}; "
            f"{site} is missing at {listed(missing)}",
            evidence={"missing": partial},
        )


def _without_counterpart(evidence: Evidence) -> Iterator[Firing]:
    comparison = evidence.comparison
    if comparison is None or comparison.mapped is None:
        return
    found, here, there = comparison.mapped
    first, second = (side.id for side in comparison.sides)
    if found < max(here, there):
        yield Firing(
            severity="warning" if found < here / 2 else "info",
            message=f"{plural(found, 'site')} of {here} in {first} and {there} in {second} are the same; the others "
            "were not compared",
            evidence={"mapped": found, first: here, second: there},
        )
