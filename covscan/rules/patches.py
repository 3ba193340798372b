"""The code that a suggestion offers to paste."""

from covscan.rules.evidence import Evidence
from covscan.rules.lookup import is_recurrent
from covscan.rules.places import Place
from covscan.surgery.code import in_the_forward, sequential
from covscan.surgery.types import constructor


def patch(evidence: Evidence, place: Place, norm: str) -> str:
    """PyTorch code that puts ``norm`` at ``place``, or a comment where the model can't be edited from outside."""
    made = constructor(norm, place.site.channels)
    if evidence.model.engine == "onnx":
        return (
            f"# In the model that '{place.name}' was exported from, put {made}\n"
            f"# {'behind' if place.position == 'after' else 'in front of'} the {place.type} that gives '{place.name}', "
            "then train and export again."
        )
    if evidence.model.engine == "torchscript":
        return (
            f"# TorchScript cannot be edited: in the source of the model, put {made}\n"
            f"# {'behind' if place.position == 'after' else 'in front of'} '{place.name}', then train and script again."
        )
    recurrent = is_recurrent(place.type) and place.position == "after"
    code = in_the_forward(place.name, made) if recurrent else sequential(place.name, place.position, made)
    trained = evidence.trials is not None and evidence.trials.intervention == "into a checkpoint"
    return f"{code}\n{_kept(place, norm)}" if trained else code


def _kept(place: Place, norm: str) -> str:
    """What was tried went into trained weights, where initial values of 1 and 0 would change what is computed."""
    return (
        "# In a trained network set gain, bias and running statistics so that its function is kept:\n"
        f"# covscan insert --site {place.name} --position {place.position} --norm {norm} ... writes such a checkpoint."
    )
