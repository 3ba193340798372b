"""Help with its options in groups, drawn without rich: a quarter of a second is too long to wait for it."""

from typing import Any

from typer.core import TyperCommand

OTHERS = "Options"


class GroupedCommand(TyperCommand):
    """A command whose help lists the options by their panel, in the order in which the panels first appear."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line: each argument as its metavar says it."""
        arguments = (each for each in self.get_params(ctx) if each.param_type_name == "argument")
        return ["[OPTIONS]", *(str(argument.metavar) for argument in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section per panel."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                name, text = record
                if parameter.param_type_name == "argument":
                    name = str(parameter.metavar)
                panel = getattr(parameter, "rich_help_panel", None) or _default_panel(parameter)
                panels.setdefault(panel, []).append((name, text))
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl(records, col_max=30)


def _default_panel(parameter: Any) -> str:
    return "Arguments" if parameter.param_type_name == "argument" else OTHERS
