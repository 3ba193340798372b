from covscan.render import Look
from covscan.render.as_page import render_page

PAGE = """\
# COV203 large-shift

A **site** moved
by more than `noise`.

- one item that is so long that it must be wrapped over two lines
  and goes on here
- ``two ` ticks``
1. numbered
Text after.
```
code   stays
```
    indented code
| a | b |
Last.
"""


def test_a_page_is_filled_and_indented():
    assert render_page(PAGE, Look(width=40, terminal=True)) == (
        "COV203 large-shift\n"
        "\n"
        "A site moved by more than noise.\n"
        "\n"
        "- one item that is so long that it must\n"
        "  be wrapped over two lines and goes on\n"
        "  here\n"
        "- two ` ticks\n"
        "1. numbered Text after.\n"
        "    code   stays\n"
        "    indented code\n"
        "| a | b |\n"
        "Last.\n"
    )


def test_marks_become_colour():
    shown = render_page(PAGE, Look(width=80, terminal=True, color=True))
    assert "\x1b[1mlarge" not in shown
    assert "\x1b[1;4mCOV203 large-shift\x1b[0m" in shown
    assert "\x1b[1msite\x1b[0m" in shown
    assert "\x1b[36mnoise\x1b[0m" in shown
