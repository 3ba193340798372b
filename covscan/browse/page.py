"""A page that is read from top to bottom, over whatever was there before."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import Key, Resize
from textual.screen import Screen
from textual.widgets import Footer, Static

from covscan.browse.contents import Contents
from covscan.browse.rows import Rows
from covscan.render.look import Look
from covscan.render.names import printable

MARGIN = 4
LEAST_WIDTH = 20


def look_at(width: int, *, unicode: bool) -> Look:
    """How text is laid out in so many columns of the terminal."""
    return Look(width=max(width - MARGIN, LEAST_WIDTH), terminal=True, color=True, unicode=unicode)


class Page(Screen[None]):
    """Shows contents; escape goes back, digits and letters lead on where the contents say so."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "app.pop_screen", "back"),
        ("y", "copy", "copy patch"),
        ("question_mark", "app.help", "keys"),
        ("q", "app.quit", "quit"),
    ]

    def __init__(self, contents: Contents, *, unicode: bool) -> None:
        super().__init__()
        self._contents = contents
        self._unicode = unicode

    def compose(self) -> ComposeResult:
        """Title, text, and the keys that do something."""
        yield Static(Text(printable(self._contents.title), style="bold reverse"), classes="title")
        yield Rows(classes="page")
        yield Footer()

    def on_mount(self) -> None:
        """Let the arrow keys scroll."""
        self.query_one(Rows).focus()

    def on_resize(self, event: Resize) -> None:
        """Lay the text out anew."""
        look = look_at(event.size.width, unicode=self._unicode)
        self.query_one(Rows).show(self._contents.draw(look))

    def on_key(self, event: Key) -> None:
        """Follow a link."""
        for link in self._contents.links:
            if link.name == event.character:
                event.stop()
                self.app.push_screen(Page(link.make(), unicode=self._unicode))
                return

    def action_copy(self) -> None:
        """Put the patch on the terminal's clipboard."""
        if not self._contents.patch:
            self.notify("There is no patch on this page.", severity="warning", markup=False)
            return
        self.app.copy_to_clipboard(self._contents.patch)
        self.notify("The patch was sent to the clipboard.", markup=False)
