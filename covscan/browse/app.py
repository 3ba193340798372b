"""The browser: four panes to walk a report with the keyboard."""

from dataclasses import replace
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import DataTable, Footer, Input, Static, TabbedContent, TabPane

from covscan.browse import contents, tables
from covscan.browse.listing import MANY, Entry, Group, Layer, View, blocks, layers, listed, modules
from covscan.browse.page import Page, look_at
from covscan.browse.rows import Rows
from covscan.render.content.findings import RANK
from covscan.render.look import Look
from covscan.report.types import Report

THEMES = ("ansi-dark", "textual-dark", "textual-light")
"""The terminal's own colours first."""
PANES = ("overview", "layers", "findings", "suggestions")


class Browser(App[int]):
    """Shows one report; returns 0."""

    CSS = """
    Rows { padding: 0 1; height: 1fr; }
    .title { height: 1; padding: 0 1; }
    #search { display: none; height: 1; border: none; padding: 0 1; }
    #search.open { display: block; }
    #state { height: 1; padding: 0 1; }
    DataTable { height: 1fr; }
    TabPane { padding: 0; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        ("1", "pane('overview')", "overview"),
        ("2", "pane('layers')", "layers"),
        ("3", "pane('findings')", "findings"),
        ("4", "pane('suggestions')", "suggestions"),
        ("slash", "search", "search"),
        ("s", "sort", "sort"),
        ("f", "found", "with findings"),
        ("c", "fold_all", "fold"),
        ("question_mark", "help", "keys"),
        ("q", "quit", "quit"),
        Binding("left", "fold", show=False, priority=True),
        Binding("right", "unfold", show=False, priority=True),
    ]

    def __init__(self, report: Report, *, unicode: bool = True) -> None:
        super().__init__()
        self.theme = THEMES[0]
        self._report = report
        self._unicode = unicode
        self._layers = layers(report)
        self._view = View(folded=blocks(self._layers) if len(self._layers) > MANY else frozenset())
        self._laid_out = 0
        self._entries: list[Entry] = []
        self._findings = sorted(report.findings, key=lambda each: (each.suppressed is not None, RANK[each.severity]))
        self._suggestions = sorted(report.suggestions, key=lambda each: each.rank)

    def compose(self) -> ComposeResult:
        """A tab for each pane."""
        with TabbedContent(initial="overview"):
            with TabPane("1 Overview", id="overview"):
                yield Rows(id="overview-text")
            with TabPane("2 Layers", id="layers"):
                yield Input(placeholder="part of a name, or a glob", id="search")
                yield Static(id="state")
                yield DataTable(id="layer-table", cursor_type="row")
            with TabPane(f"3 Findings ({len(self._findings)})", id="findings"):
                yield DataTable(id="finding-table", cursor_type="row")
            with TabPane(f"4 Suggestions ({len(self._suggestions)})", id="suggestions"):
                yield DataTable(id="suggestion-table", cursor_type="row")
        yield Footer()

    def on_mount(self) -> None:
        """Fill everything."""
        self._lay_out(self.size.width)
        self._first("#overview-text").focus()

    def on_resize(self, event: Resize) -> None:
        """Lay everything out anew; the first size comes before there is anything to lay out."""
        if self._laid_out not in {0, event.size.width}:
            self._lay_out(event.size.width)

    def _lay_out(self, width: int) -> None:
        self._laid_out = width
        look = self._look(width)
        self._first("#overview-text", Rows).show(contents.overview(self._report, look))
        self._fill_layers(look, self._table("layer").cursor_row)
        for name, heads, cells in (
            ("finding", tables.FINDINGS, tables.finding_cells(self._findings, look)),
            ("suggestion", tables.SUGGESTIONS, tables.suggestion_cells(self._suggestions, look)),
        ):
            table = self._table(name)
            tables.fill(table, heads, cells, table.cursor_row)

    def _look(self, width: int | None = None) -> Look:
        return look_at(self.size.width if width is None else width, unicode=self._unicode)

    def _first(self, selector: Any, kind: Any = Widget) -> Any:
        """A part of the panes, which may lie under a page."""
        return self.screen_stack[0].query_one(selector, kind)

    @property
    def _covered(self) -> bool:
        """Whether a page lies over the panes."""
        return len(self.screen_stack) > 1

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the panes do nothing under a page, and the arrows fold in the table of layers alone."""
        del parameters
        if action in {"fold", "unfold"}:
            return not self._covered and self.focused is self._table("layer")
        return not (self._covered and action in {"search", "sort", "found", "fold_all"})

    def _table(self, name: str) -> "DataTable[Text]":
        found: DataTable[Text] = self._first(f"#{name}-table", DataTable)
        return found

    def _fill_layers(self, look: Look, row: int = 0) -> None:
        self._entries = listed(self._layers, self._view)
        cells = tables.layer_cells(self._entries, look)
        tables.fill(self._table("layer"), tables.LAYERS, cells, row)
        self._first("#state", Static).update(Text(self._state(), style="dim"))

    def _state(self) -> str:
        """What is shown, in a line."""
        shown = sum(len(entry.layers) if isinstance(entry, Group) else 1 for entry in self._entries)
        said = [f"{shown} of {len(self._layers)} sites", f"by {self._view.order}"]
        said += [f"matching '{self._view.query}'"] if self._view.query else []
        said += ["with findings"] if self._view.found_only else []
        return ", ".join(said)

    def _see(self, row: int = 0, **changes: Any) -> None:
        self._view = replace(self._view, **changes)
        self._fill_layers(self._look(), row)

    def action_pane(self, name: str) -> None:
        """Go to a pane, and let its keys work."""
        while self._covered:
            self.pop_screen()
        self._first(TabbedContent).active = name
        target = {"overview": "#overview-text"}.get(name, f"#{name.removesuffix('s')}-table")
        self._first(target).focus()

    def action_search(self) -> None:
        """Open the line to type into."""
        self.action_pane("layers")
        search = self._first("#search", Input)
        search.add_class("open")
        search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search while it is typed."""
        self._see(query=event.value)

    def on_input_submitted(self) -> None:
        """Go on to what was found."""
        self._table("layer").focus()

    def key_escape(self) -> None:
        """Forget the search."""
        if self._covered:
            return
        search = self._first("#search", Input)
        search.value = ""
        search.remove_class("open")
        if self._first(TabbedContent).active == "layers":
            self._table("layer").focus()

    def action_sort(self) -> None:
        """By the next order."""
        self._see(order=self._view.sorted_next().order)

    def action_found(self) -> None:
        """Only what has findings, or everything."""
        self._see(found_only=not self._view.found_only)

    def key_a(self) -> None:
        """Also the names that see another's tensor."""
        if not self._covered:
            self._see(every_name=not self._view.every_name)

    def action_fold_all(self) -> None:
        """Fold the modules, or unfold all."""
        self._see(folded=frozenset() if self._view.folded else blocks(self._layers))

    def action_fold(self) -> None:
        """Fold the module that the layer lies in, or the one around a folded module."""
        entry = self._current()
        if entry is None or self._view.order != "network":
            return
        name = entry.name if isinstance(entry, Group) else entry.site.site
        around = modules(name)
        if around:
            self._see(folded=self._view.folded | {around[-1]})
            self._go_to(around[-1])

    def action_unfold(self) -> None:
        """Unfold the module under the cursor."""
        entry = self._current()
        if isinstance(entry, Group):
            self._see(self._table("layer").cursor_row, folded=self._view.folded - {entry.name})

    def _current(self) -> Entry | None:
        row = self._table("layer").cursor_row
        here = self._first(TabbedContent).active == "layers" and not self._covered
        return self._entries[row] if here and 0 <= row < len(self._entries) else None

    def _go_to(self, module: str) -> None:
        for row, entry in enumerate(self._entries):
            if isinstance(entry, Group) and entry.name == module:
                self._table("layer").move_cursor(row=row)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open what is under the cursor."""
        row = event.cursor_row
        match event.data_table.id:
            case "layer-table":
                self._open_layer(self._entries[row])
            case "finding-table":
                self._open(contents.finding(self._report, self._findings[row]))
            case _:
                self._open(contents.suggestion(self._report, self._suggestions[row]))

    def _open_layer(self, entry: Entry) -> None:
        if isinstance(entry, Layer):
            self._open(contents.layer(self._report, entry.site))
        else:
            self.action_unfold()

    def _open(self, page: contents.Contents) -> None:
        self.push_screen(Page(page, unicode=self._unicode))

    def key_y(self) -> None:
        """Copy the patch of the suggestion under the cursor, or of the first."""
        if self._covered:
            return
        table = self._table("suggestion")
        chosen = self._suggestions[table.cursor_row : table.cursor_row + 1] or self._suggestions[:1]
        if not chosen:
            self.notify("There is no suggestion.", severity="warning", markup=False)
            return
        self.copy_to_clipboard(chosen[0].patch)
        self.notify(f"The patch of suggestion {chosen[0].rank} was sent to the clipboard.", markup=False)

    def key_t(self) -> None:
        """Other colours."""
        self.theme = THEMES[(THEMES.index(self.theme) + 1) % len(THEMES)]

    def action_help(self) -> None:
        """Show the keys."""
        self._open(contents.help_page())

    async def action_quit(self) -> None:
        """End with 0."""
        self.exit(0)
