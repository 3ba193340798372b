"""Plain text for SARIF messages, in which brackets and braces can mean something."""

import re

from covscan.render.names import printable

_PLACEHOLDER = re.compile(r"\{(\d+)\}")
_LINK = re.compile(r"\[[^\[\]]*\](?=\()")


def plain(text: str) -> str:
    r"""The text so that a viewer shows it as it is: ``{0}`` is no placeholder and ``[a](b)`` no link.

    Other brackets stay, since intervals are full of them and not every viewer takes an escape back.
    """
    braced = _PLACEHOLDER.sub(r"{{\1}}", printable(text))
    return _LINK.sub(lambda link: f"\\{link[0][:-1]}\\]", braced)
