"""Reading an HTML page without a browser: its elements, its texts, and what it packs."""

import base64
import gzip
import json
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """Every element with its attributes, every text with the element that it stands in."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.rows, self._open = [], [], [], []
        self.feed(text)
        self.close()
        assert self._open == [], "an element is never closed"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append((dict(attributes), []))
        if tag in {"td", "th"} and self.rows:
            self.rows[-1][1].append("")

    def handle_endtag(self, tag):
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, text):
        inside = self._open[-1] if self._open else ""
        self.texts.append((inside, text))
        if self.rows and {"td", "th"} & set(self._open):
            self.rows[-1][1][-1] += text

    def found(self, tag, **wanted):
        return [each for name, each in self.elements if name == tag and wanted.items() <= each.items()]

    def text(self):
        return " ".join(text for inside, text in self.texts if inside not in {"script", "style"})

    def inside(self, tag):
        return "".join(text for name, text in self.texts if name == tag)

    def scripts(self):
        return [text for inside, text in self.texts if inside == "script" and text.strip()]

    def packed(self, place):
        """What is packed in the first (the library) or second (the data) block."""
        return gzip.decompress(base64.b64decode(self.scripts()[place])).decode()

    def data(self):
        return json.loads(self.packed(1))
