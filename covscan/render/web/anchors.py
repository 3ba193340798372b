"""Where in the page a site is found: a fragment made of its name, which stays the same in every report."""

from urllib.parse import quote

from covscan.render.content.places import SIDES
from covscan.report.types import Report


def anchor(site: str, position: str) -> str:
    """``layer=encoder.0.fc1:out``: unique for each site, and an identifier that HTML and a URL take as it is."""
    written = site.encode("utf-8", "surrogatepass")
    return f"layer={quote(written, safe='/.')}:{SIDES[position]}"


def aliases(report: Report) -> dict[str, str]:
    """The fragments of sites that are shown under another name, with that name's."""
    return {
        anchor(site.site, site.position): anchor(site.same_as.site, site.same_as.position)
        for site in report.sites
        if site.same_as is not None
    }
