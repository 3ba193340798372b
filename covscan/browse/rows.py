"""Text of any length to scroll through: only the rows in sight are drawn."""

from collections.abc import Sequence

from rich.text import Text
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip


class Rows(ScrollView, can_focus=True):
    """Rows of text, each as it is; nothing in them is read as markup, and nothing is wrapped."""

    rows: Sequence[Text] = ()

    def show(self, rows: Sequence[Text]) -> None:
        """Show other rows."""
        self.rows = rows
        self.virtual_size = Size(max((row.cell_len for row in rows), default=0), len(rows))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The row that stands ``y`` lines below the upper edge."""
        left, top = self.scroll_offset
        style = self.rich_style
        if top + y >= len(self.rows):
            return Strip.blank(self.size.width, style)
        row = self.rows[top + y]
        strip = Strip(row.render(self.app.console), row.cell_len)
        return strip.crop_extend(left, left + self.size.width, style).apply_style(style)
