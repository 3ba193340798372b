"""The page in a browser without a network, as somebody who opens it from disk meets it."""

import time

import pytest
from report_factory import HOSTILE, KINDS, deep, wide

from covscan.render import render
from covscan.render.names import printable
from covscan.render.web.anchors import anchor

pytestmark = pytest.mark.browser
MORE = {"deep": deep, "wide": lambda: wide(27, 6), "large": lambda: wide(2000, 5)}
CELLS = "#heat-chart svg .role-mark.mark-text text"
SIZES = [(390, 800), (1280, 768), (1920, 1080)]


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Where the page of a kind of report lies; written once."""
    folder = tmp_path_factory.mktemp("pages")

    def path(kind):
        file = folder / f"{kind}.html"
        if not file.exists():
            file.write_text(render((KINDS | MORE)[kind](), "html"), encoding="utf-8")
        return file.as_uri()

    return path


@pytest.fixture
def visit(browser, pages):
    """Open the page of a kind; it fails the test that the page asks for anything or complains."""
    contexts, trouble, expected = [], [], []

    def opened(kind, fragment="", width=1280, height=900, wait=True, complains=False, lame=False, **more):
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **more)
        contexts.append(context)
        expected.append(complains)
        page = context.new_page()
        page.on("console", lambda message: trouble.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: (trouble.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith("file:") or trouble.append(request.url))
        if lame:
            page.add_init_script("delete window.DecompressionStream")
        page.goto(pages(kind) + fragment)
        if wait:
            page.wait_for_selector("html[data-ready]", timeout=30_000)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert bool(trouble) == any(expected), trouble


def settled(page):
    """Wait until what was asked for has been drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_timeout(50)


def names(page):
    return [each.replace("\n", " ").strip() for each in page.locator("#heat-names button.site").all_inner_texts()]


def cells(page):
    return page.locator(CELLS).all_text_contents()


@pytest.mark.parametrize("kind", KINDS)
def test_every_page_draws_without_a_word_of_complaint(visit, kind):
    page = visit(kind)
    report = KINDS[kind]()
    shown = [site for site in report.sites if site.same_as is None]
    drawn = len(report.checkpoints) > 1 and bool(shown)
    assert page.locator("#heat-chart :is(svg, canvas)").count() == drawn
    assert page.locator("#depth-chart :is(svg, canvas)").count() == bool(shown)
    assert page.locator("#curves-chart svg").count() == (report.trials is not None)


def test_a_click_on_a_name_or_on_a_cell_opens_the_layer(visit):
    page = visit("digits")
    page.get_by_role("button", name="fc3 out").click()
    assert page.locator("#layer-title").inner_text() == "fc3 out · Linear"
    assert page.url.endswith("#layer=fc3:out")
    for figure in ("bands", "spread", "scale"):
        page.locator(f"#layer-{figure} svg").wait_for()
    assert not page.locator("#layer-gradient-figure").is_visible()
    panel = page.locator("#layer").inner_text()
    for said in (
        "COV203",
        "moved by 2.4 standard deviations",
        "1. BatchNorm1d after fc3",
        "class Patched(nn.Sequential)",
    ):
        assert said in panel
    assert "2.16 to 2.64" in panel
    page.get_by_role("button", name="Close").click()
    assert not page.locator("#layer").is_visible()
    assert "#" not in page.url
    settled(page)
    cell = page.locator(CELLS).nth(7 * 6 + 3).bounding_box()
    page.mouse.click(cell["x"] + 3, cell["y"] + 5)
    page.locator("#layer-title").wait_for()
    assert page.locator("#layer-title").inner_text().startswith("act3 out")


def test_gradients_of_a_layer_are_drawn_where_there_are_some(visit):
    page = visit("trained", "#layer=fc2:out")
    page.locator("#layer-gradient svg").wait_for()
    assert "gradient/weights" in page.locator("#layer").inner_text()
    assert page.locator("#layer .suggestion").count() == 0
    page.get_by_role("button", name="Next ›").click()
    assert page.locator("#layer .suggestion").count() == 1
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.locator("#layer .copy").click()
    assert page.evaluate("window.copied").startswith("class Patched")


def test_a_permalink_opens_its_layer_and_so_does_the_name_of_the_same_tensor(visit):
    assert visit("digits", "#layer=fc2:out").locator("#layer-title").inner_text().startswith("fc2 out")
    assert visit("digits", "#layer=fc2:in").locator("#layer-title").inner_text().startswith("act1 out")
    assert not visit("digits", "#layer=nobody:out").locator("#layer").is_visible()
    page = visit("digits")
    page.locator("#findings a").first.click()
    assert page.locator("#layer-title").inner_text().startswith("fc3 out")
    page.go_back()
    assert not page.locator("#layer").is_visible()


def test_everything_is_done_by_keyboard(visit):
    page = visit("deep")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.locator('#heat-names [tabindex="0"]').focus()
    for key in ("ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
        settled(page)
    assert page.locator("#heat-names button").count() == 2
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false"
    page.keyboard.press("ArrowRight")
    settled(page)
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
        settled(page)
    assert page.locator("#layer-title").inner_text().startswith("encoder.layer.0.attention.self.query out")
    assert page.evaluate("document.activeElement.id") == "layer-title"
    page.keyboard.press("Escape")
    settled(page)
    assert not page.locator("#layer").is_visible()
    assert page.evaluate("document.getElementById('heat-names').contains(document.activeElement)")


def test_rows_stand_beside_their_names_and_fold_by_module(visit):
    page = visit("wide")
    listed = page.locator("#heat-names button").count()
    marks = page.locator(CELLS)
    assert marks.count() == 5 * listed
    for row in (0, listed - 1):
        name = page.locator("#heat-names button").nth(row).bounding_box()
        mark = marks.nth(5 * row).bounding_box()
        assert abs(name["y"] + name["height"] / 2 - mark["y"] - mark["height"] / 2) < 3
    page.get_by_role("button", name="Fold all", exact=True).click()
    settled(page)
    assert page.locator("#heat-names button").all_inner_texts() == ["▸\nencoder › stage0 › blocks\n27"]
    page.get_by_role("button", name="Unfold all").click()
    settled(page)
    assert len(names(page)) == 27
    assert names(page)[:3] == ["qkv out ▲", "out out", "norm1 out"]


def test_search_filter_and_order_choose_the_same_rows_of_map_and_table(visit):
    page = visit("digits")
    page.locator("#sort").select_option("largest")
    settled(page)
    wanted = ["fc3", "act3", "head", "fc2", "act2", "fc1", "act1", "fc1"]
    assert [name.split()[0] for name in names(page)][:5] == wanted[:5]
    page.locator("#shift-table summary").click()
    rows = page.locator("#shifts tbody th").all_inner_texts()
    assert rows[:5] == wanted[:5]
    page.locator("#filter").select_option("activation")
    settled(page)
    assert names(page) == ["act3 out ▲", "act2 out", "act1 out"]
    page.locator("#filter").select_option("all")
    page.locator("#search").fill("f*2")
    settled(page)
    assert [name.split()[0] for name in names(page)] == ["fc2"]
    assert page.locator("#shifts tbody th").all_inner_texts() == ["fc2"]
    page.locator("#search").fill("(")
    settled(page)
    assert page.get_by_text("No site matches.").is_visible()


def test_the_measure_and_the_noise_are_chosen(visit):
    page = visit("digits")
    before = cells(page)
    assert before[0] == "·"
    assert "2.40" in before
    page.locator("#measure").select_option(label="Shift of the means")
    settled(page)
    assert "1.92" in cells(page)
    assert "2.40" not in cells(page)
    page.locator("#mask").uncheck()
    settled(page)
    assert "·" not in cells(page)
    page.locator("#measure").select_option(label="linear cka")
    settled(page)
    assert set(cells(page)) == {"×"}
    page.locator("#measure").select_option(label="Gaussian W2 distance")
    page.locator("#span").select_option(label="since the checkpoint before")
    settled(page)
    assert max(map(float, cells(page))) < 1.1


def test_a_group_shows_the_largest_of_its_sites_beyond_noise(visit):
    page = visit("deep")
    page.get_by_role("button", name="Fold all", exact=True).click()
    settled(page)
    report = deep()
    last = report.checkpoints[-1].id
    largest = max(each.measures["gaussian_w2"].value for each in report.shifts if each.to == last)
    assert cells(page)[-1] == f"{largest:.2f}"


def test_pointing_at_a_cell_tells_its_interval_and_noise(visit):
    page = visit("digits")
    box = page.locator(CELLS).nth(7 * 5 + 6).bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + 5)
    page.locator("#tip").wait_for()
    said = page.locator("#tip").inner_text()
    assert said.split("\n")[0] == "fc3 out"
    assert "Gaussian W2 distance: 2.40 [2.16 to 2.64]" in said
    assert "noise 0.060; counts" in said


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_schemes_are_followed_and_can_be_chosen(visit, scheme):
    def colours(page):
        settled(page)
        fill = page.locator("#heat-chart svg .mark-rect path").last.get_attribute("fill")
        return page.evaluate("getComputedStyle(document.body).backgroundColor"), fill

    page = visit("digits", color_scheme=scheme)
    background, fill = colours(page)
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    page.locator("#scheme").click()
    if scheme == "light":
        page.locator("#scheme").click()
    other, changed = colours(page)
    assert other != background
    assert changed != fill


@pytest.mark.parametrize(
    ("kind", "width", "height"),
    [
        *(("hostile", *size) for size in SIZES),
        *(("deep", *size) for size in SIZES),
        ("digits", *SIZES[0]),
        ("gated", *SIZES[0]),
    ],
)
def test_nothing_runs_out_of_the_window(visit, kind, width, height):
    page = visit(kind, "#" + anchor(KINDS[kind]().sites[0].site, "output"), width=width, height=height)
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    panel = page.locator("#layer").bounding_box()
    assert panel["x"] >= 0
    assert panel["x"] + panel["width"] <= width
    if width >= 1100:
        plot = page.locator("#heat-chart").bounding_box()
        assert plot["x"] + plot["width"] <= panel["x"]


def test_print_is_light_unfolded_and_without_controls(visit):
    page = visit("deep", "#layer=encoder.layer.7.intermediate.dense:out", color_scheme="dark")
    page.emulate_media(media="print")
    settled(page)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("#heat-chart svg .mark-rect path").first.get_attribute("fill") == "#f3f5f7"
    assert not page.locator(".controls").first.is_visible()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#shifts").is_visible()
    assert page.locator("details:not([open])").count() == 0
    assert page.pdf()[:5] == b"%PDF-"


def test_without_a_script_the_tables_tell_everything(visit):
    page = visit("digits", "#layer=fc3:out", wait=False, java_script_enabled=False)
    assert page.locator("#shifts").is_visible()
    assert page.locator("#shifts tbody tr").count() == 8
    row = page.locator('[id="layer=fc3:out"]')
    assert row.inner_text().split() == [
        "fc3",
        "out",
        "0.91",
        "1.28",
        "1.57",
        "1.81",
        "2.03",
        "2.22",
        "2.40",
        "0.060",
        "2.40",
    ]
    for section in ("overview", "findings", "suggestions", "candidates", "tables", "coverage", "notes"):
        assert page.locator(f"#{section}").is_visible()
    assert not page.locator("#depth").is_visible()
    assert not page.locator("button").first.is_visible()


def test_where_charts_cannot_be_drawn_the_page_says_so_and_the_tables_stay(visit):
    page = visit("digits", complains=True, wait=False, lame=True)
    page.get_by_text("Charts cannot be drawn here").wait_for()
    assert page.locator("#shifts").is_visible()
    assert not page.locator("#scheme").is_visible()


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [
        ("digits", "light"),
        ("gated", "dark"),
        ("trained", "dark"),
        ("wide", "light"),
        ("single", "light"),
        ("data", "dark"),
    ],
)
def test_axe_finds_nothing(visit, kind, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = visit(kind, color_scheme=scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    button = page.locator("#heat-names .site").first
    if button.count():
        button.click()
        page.locator("#layer-spread svg").wait_for()
    found = axe.Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []


def test_hostile_names_are_text_in_the_drawn_page_too(visit):
    page = visit("hostile")
    assert page.locator("img").count() == 0
    for name in HOSTILE:
        page.evaluate("(key) => { location.hash = key; }", anchor(name, "output"))
        page.locator("#layer-spread svg").wait_for()
        assert page.locator("#layer-title").text_content() == f"{printable(name)} out · Linear"
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 4


def test_the_policy_lets_nothing_else_run_or_load(visit):
    page = visit("digits", complains=True)
    tried = """async () => {
      const refused = [];
      document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      document.body.append(script);
      setTimeout("window.ran = true", 0);
      await fetch("https://example.org/").catch(() => refused.push("fetch"));
      await new Promise((done) => setTimeout(done, 100));
      return [window.ran === undefined, refused];
    }"""
    safe, refused = page.evaluate(tried)
    assert safe
    assert {"script-src-elem", "script-src", "connect-src", "fetch"} <= set(refused)


def test_two_thousand_sites_stay_quick(visit, pages):
    pages("large")
    started = time.monotonic()
    page = visit("large")
    assert time.monotonic() - started < 15
    assert page.locator("#heat-names button").count() <= 60
    page.get_by_role("button", name="Unfold all").click()
    settled(page)
    assert page.locator("#heat-range").inner_text().startswith("Rows 1 to 200 of ")
    page.locator("#heat-after").click()
    settled(page)
    assert page.locator("#heat-range").inner_text().startswith("Rows 201 to 400 of ")
    started = time.monotonic()
    page.locator("#search").fill("stage7 mlp.up")
    settled(page)
    assert len(names(page)) == 12
    page.locator("#heat-names .site").first.click()
    page.locator("#layer-bands svg").wait_for()
    assert time.monotonic() - started < 8
