"""Whether two data sets can be fed to one network and compared."""

from covscan.data.samples import OpenSamples
from covscan.errors import CovscanError, UsageError, raise_collected

_KINDS = {"f": "floating", "i": "integer", "u": "unsigned integer", "b": "boolean", "c": "complex"}


def check_alike(one: OpenSamples, other: OpenSamples, names: tuple[str, str]) -> None:
    """Raise UsageError where arrays, their kinds of numbers or their shapes differ; each problem is told.

    Labels may be missing on one side. Precision may differ, since the model gets its own. Sizes may differ where
    samples of one data set do.
    """
    here, there = one.inputs(), other.inputs()
    if here.keys() != there.keys():
        raise UsageError(
            "data-differ",
            f"'{names[0]}' and '{names[1]}' do not hold the same arrays",
            found=f"{', '.join(here)} and {', '.join(there)}",
            hint="save both as the model takes them; name labels by --target",
        )
    errors: list[CovscanError] = []
    for name, mine in here.items():
        yours = there[name]
        text = f"array {name!r}" if one.names else f"array {int(name) + 1}"
        if mine.kind != yours.kind:
            found = f"{_KINDS.get(mine.kind, mine.kind)} and {_KINDS.get(yours.kind, yours.kind)} values"
            hint = "prepare both alike: images as 0 to 255 and as 0 to 1 are no shift of the data"
            errors.append(
                UsageError("data-differ", f"{text} is not of one kind in both data sets", found=found, hint=hint)
            )
        elif not mine.fits(yours):
            errors.append(
                UsageError(
                    "data-differ",
                    f"{text} has other shapes in '{names[0]}' than in '{names[1]}'",
                    found=f"samples of {mine.text()} and of {yours.text()}",
                    hint="cut, scale or pad both alike",
                )
            )
    raise_collected(errors)
