"""What the reader is told beside the numbers."""

from collections.abc import Sequence

from covscan.report.types import Suggestion
from covscan.rules.evidence import Evidence

SHIFT = (
    "Shift describes how activations moved between your checkpoints. Whether reducing it helps is contested: Santurkar "
    "et al. 2018 show that BatchNorm helps without reducing it; Awais et al. 2020 disagree. The shift of the variance "
    "ranked places for a normalization worse than their depth does (rank correlation with measured gains 0.44 against "
    "0.55, over 65 small networks trained from scratch)."
)
NOISE = (
    "A shift is marked significant only above sampling noise (random halves of one checkpoint's samples) and above a "
    "stated effect size; samples are counted, not pixels or tokens."
)
NO_ADVICE = {
    "data": "No normalization is suggested: advice is about training, of which two data sets through one checkpoint "
    "show nothing. covscan analyze on a series of checkpoints gives it.",
    "models": "No normalization is suggested: advice is about training, of which two models beside each other show "
    "nothing. covscan analyze on a series of checkpoints gives it.",
}
GAIN = (
    "Suggestions rest on forward evidence alone, which ranks places moderately: over 65 small networks with measured "
    "gains the rank correlation was 0.58, little better than that of depth alone. With --loss and --target covscan "
    "tries each place instead (0.81). What can be gained is speed and stability of optimization at a re-tuned "
    "learning rate, not generalization; BatchNorm also regularizes and couples the samples of a batch."
)
TRIED = (
    "Gains are changes of the area under the training loss in short trainings, each arm at its best learning rate: "
    "speed and stability of optimization, not generalization. BatchNorm also regularizes and couples the samples of a "
    "batch. Whoever keeps the old learning rate should read the gain at that rate."
)
PROBED = (
    "Changes are those of the loss on other samples after one step, the best of several step sizes. One step says "
    "little about a whole training; short trials, which take more steps, say more."
)
KEPT = (
    "The normalizations were put into trained weights so that the function was kept, which also keeps most of the old "
    "dynamics. Training from scratch with them is another intervention, with usually larger gains."
)
INSERTION = (
    "Ranks refer to training from scratch with the normalization in. Put into a trained checkpoint so that its "
    "function is kept, it keeps most of the old dynamics too, and usually gains less."
)
ONNX = (
    "From ONNX without labels only candidates from forward evidence can be offered, and BatchNorm may have been folded "
    "away at export."
)


def notes_for(evidence: Evidence, suggestions: Sequence[Suggestion]) -> tuple[str, ...]:
    """The sentences that apply to this run."""
    if evidence.kind != "checkpoints":
        return NOISE.replace("one checkpoint's", "one side's"), NO_ADVICE[evidence.kind]
    notes = [SHIFT, NOISE] if len(evidence.checkpoints) > 1 else []
    if evidence.tried is not None:
        notes += [TRIED if evidence.tried.tier == "trial" else PROBED]
        notes += [KEPT] if evidence.tried.intervention == "into a checkpoint" else []
    elif suggestions:
        notes += [GAIN, INSERTION]
    notes += evidence.trials.notes if evidence.trials is not None else []
    notes += [ONNX] if evidence.model.engine == "onnx" else []
    return tuple(notes)
