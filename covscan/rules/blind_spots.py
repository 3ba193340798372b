"""What the measurement cannot see: padding, folded normalizations, randomness."""

from collections.abc import Iterator

from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import is_embedding, last, measured, statistics, untrained
from covscan.rules.words import listed, share

_PADDED_SHARE = 0.02
_CONVOLUTIONS = ("Conv", "FusedConv", "ConvTranspose")


def unmasked_padding(evidence: Evidence) -> Iterator[Firing]:
    """Padding may be counted as data.

    Severity: info.

    ## What it measures
    Whether an embedding gives rows of exact zeros, as one with a padding index does, though no mask was given.

    ## Why it matters
    Padded positions all look alike. Counted as data they pull means towards a constant, make variances smaller and
    samples more similar, the more so the shorter the sequences.

    ## When it misleads
    Only embeddings that map padding to zero are recognized; padding that is embedded like any other token is not seen.
    A vocabulary may hold a word whose vector is zero for another reason.

    ## Example
    `34 % of what embed gives is exactly zero: padding, most likely`

    ## What to do
    Name the array that says which positions hold data: `--mask attention_mask`.

    ## Sources
    PyTorch's documentation of `nn.Embedding(padding_idx=)`.
    """
    if evidence.data.masked:
        return
    for site in measured(evidence):
        found = statistics(site, last(evidence))
        if found is None or site.position != "output" or not is_embedding(site.type):
            continue
        if len(site.shape) >= 3 and found.zero_share is not None and found.zero_share >= _PADDED_SHARE:
            yield Firing(
                severity="info",
                site=site.site,
                position=site.position,
                message=f"{share(found.zero_share)} of what {site.site} gives is exactly zero: padding, most likely, "
                "which is counted as data without --mask",
                evidence={"zero_share": found.zero_share},
            )
            return


def folded_batchnorm(evidence: Evidence) -> Iterator[Firing]:
    """BatchNorm may have been folded into the convolutions when the model was exported.

    Severity: info.

    ## What it measures
    Whether an ONNX graph holds convolutions and no BatchNormalization.

    ## Why it matters
    Exporters merge a BatchNorm in inference mode into the convolution before it. Its absence in the file is not its
    absence in the network that was trained, and a suggestion to add one may suggest what is there.

    ## When it misleads
    Plenty of networks have no BatchNorm, and then the export changed nothing.

    ## Example
    A ResNet exported with `torch.onnx.export(model.eval(), …)`: 53 convolutions, no BatchNormalization.

    ## What to do
    If the network was trained with BatchNorm, export with `training=torch.onnx.TrainingMode.PRESERVE` or measure the
    PyTorch checkpoints instead.

    ## Sources
    PyTorch's ONNX exporter runs `_jit_pass_onnx_eval_peephole` in evaluation mode.
    """
    note = next((note for note in evidence.network.notes if "folded" in note), None)
    if note is not None:
        yield Firing(severity="info", message=note, evidence={})


def may_be_folded(evidence: Evidence) -> bool:
    """Whether an ONNX file stands alone and its convolutions have biases, into which a BatchNorm may have gone.

    A series shows how the network trains without one; a single file is mostly a network that is in use.
    """
    return (
        evidence.model.engine == "onnx"
        and len(evidence.checkpoints) == 1
        and not untrained(evidence, evidence.checkpoints[0])
        and any(module.type in _CONVOLUTIONS and module.has_bias for module in evidence.network.modules)
    )


def nondeterministic_outputs(evidence: Evidence) -> Iterator[Firing]:
    """The network gives different outputs for the same input.

    Severity: warning.

    ## What it measures
    Two forward passes on the same batch with other random numbers, compared bit by bit.

    ## Why it matters
    What differs between two passes differs between two checkpoints too: randomness is added to every shift, and the
    shift between identical checkpoints is not 0.

    ## When it misleads
    Some kernels add in a varying order and differ in the last bits only, which no shift notices.

    ## Example
    A model that calls `F.dropout(x, 0.5)` without `training=self.training`: dropout stays on in evaluation mode.

    ## What to do
    Make `eval()` switch off every random element. Where randomness is part of the model (a sampled latent), measure
    with more samples, which averages it out.

    ## Sources
    PyTorch's documentation of `torch.nn.functional.dropout`: `training` is True by default.
    """
    if evidence.nondeterministic:
        names = list(evidence.nondeterministic)
        yield Firing(
            severity="warning",
            message=f"two runs on the same input differ at {listed(names)}: part of every shift is random",
            evidence={"places": names},
        )
