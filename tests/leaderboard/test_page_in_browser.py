"""The page in a real browser, from disk and without network: what a reader sees and does, against the records.

Chromium is the system's: ``RNNBENCH_BROWSER`` names it and demands these tests, else the first one on the path is
taken, and without any they are skipped.
"""

import csv
import importlib
import io
import json
import os
import shutil
from pathlib import Path
from urllib.parse import parse_qs, quote

import pytest

from rnnbench.benchmark.config.plans import shipped_plans
from rnnbench.leaderboard.dynamics import SideFiles
from rnnbench.leaderboard.page.gather import page_data
from rnnbench.leaderboard.page.html import render
from rnnbench.leaderboard.page.write import gather
from rnnbench.leaderboard.statistics import select_cells, statistic
from rnnbench.leaderboard.store import find_records, shipped_records
from tests.leaderboard.factory import make_record
from tests.leaderboard.test_page import hostile, page_of

DEMANDED = os.environ.get("RNNBENCH_BROWSER")
BROWSER = DEMANDED or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if not BROWSER:
    pytest.skip("no Chromium on the path: apt-get install chromium", allow_module_level=True)
needed = importlib.import_module if DEMANDED else pytest.importorskip
playwright, axe = needed("playwright.sync_api"), needed("axe_playwright_python.sync_playwright")

MOST_BYTES = 3_000_000
OPENS_WITHIN, FILTERS_WITHIN = 3.0, 0.3


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        # Chromium's own sandbox needs rights that containers lack.
        launched = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def records():
    return find_records(shipped_records())


@pytest.fixture(scope="module")
def cells(records):
    """The cells of the committed records by suite, budget, task and network."""
    return {cell.first.cell: cell for cell in select_cells(records[0], shipped_plans())[0]}


@pytest.fixture(scope="module")
def committed(records, tmp_path_factory):
    page = tmp_path_factory.mktemp("page") / "page.html"
    page.write_bytes(render(gather(*records, SideFiles(shipped_records()), {}, shipped_plans())[0]))
    return page


@pytest.fixture
def opened(browser, committed):
    """Opens a page at a state; whatever it logs, and whatever it asks for but its own file, fails the test."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900}, accept_downloads=True)
    heard: list[str] = []

    def open_at(state="", file=committed):
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: heard.append(dialog.message))
        page.on(
            "request", lambda request: heard.extend([request.url] * (not request.url.startswith(("file:", "blob:"))))
        )
        page.goto(f"{Path(file).as_uri()}#{state}")
        return page

    yield open_at
    context.close()
    # The file itself, its icon, and what is saved.
    assert [line for line in heard if not line.startswith(("file:", "data:image", "blob:"))] == []


def busy(session):
    """Seconds of a core that a page has taken so far: what it would take on a machine with nothing else to do."""
    return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}["TaskDuration"]


def exported(page, kind):
    with page.expect_download() as waiting:
        page.locator(f"#{kind}").click()
    return Path(waiting.value.path()).read_text(encoding="utf-8")


def rows_of_csv(page):
    return list(csv.DictReader(io.StringIO(exported(page, "csv"), newline="")))


def rows_of(page):
    return page.locator("table.matrix tbody th").all_text_contents()


def test_what_is_shown_is_what_the_records_say(opened, cells, committed):
    assert committed.stat().st_size <= MOST_BYTES
    page = opened()
    as_csv, as_json = rows_of_csv(page), json.loads(exported(page, "json"))
    assert len(as_csv) == len(as_json) == len(cells) == page.locator("[data-cell]").count()
    for text, row in zip(as_csv, as_json, strict=True):
        assert text == {name: "" if value is None else text[name] for name, value in row.items()}
        cell = cells[tuple(row[name] for name in ("suite", "budget", "task", "network"))]
        found = statistic(record.scores.test.get(cell.metric.name) for record in cell.finished)
        expected = (found.mean, found.sd, found.n) if found else (None, None, 0)
        assert (row["mean"], row["sd"], row["n"]) == expected
        assert text["mean"] == "" or float(text["mean"]) == row["mean"]
        if found:
            gap = cell.metric.best - cell.metric.chance
            assert row["share_of_gap"] == pytest.approx((found.mean - cell.metric.chance) / gap, rel=1e-4)
        assert row["parameters"] == cell.first.parameters


def accuracy(record):
    return record.scores.test["accuracy"]


def test_sorting_filters_and_search_follow_the_records(opened, cells):
    page = opened("suite=quick")
    digits = {key[3]: cell for key, cell in cells.items() if key[:3] == ("quick", "cpu", "Digits")}
    best_first = sorted(digits, key=lambda name: -digits[name].over_finished(accuracy).mean)
    page.locator("thead button", has_text="Digits").click()
    assert rows_of(page) == best_first
    page.locator("thead button", has_text="Digits").click()
    assert rows_of(page) == best_first[::-1]
    assert page.locator("th[aria-sort=descending]").count() == 1
    page.locator("[name=q]").fill("gru")
    assert rows_of(page) == ["GRU"]
    page.locator(".reset").click()
    page.locator("[name=budget]").select_option("paper")
    page.locator("[name=least]").fill("1000")
    page.locator("[name=most]").fill("2000")
    among = [cell for cell in cells.values() if cell.first.budget == "paper" and 1000 <= cell.first.parameters <= 2000]
    assert set(rows_of(page)) == {cell.first.network for cell in among}
    assert page.locator("#status").text_content().startswith(f"{len(among)} cells")


def test_a_cell_opens_by_keyboard_and_back_closes_it(opened, cells):
    page = opened("suite=quick")
    page.locator("[data-cell][tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    assert "of the gap" in page.locator("#tip").inner_text()
    page.keyboard.press("Enter")
    text = page.locator("dialog").inner_text()
    (address,) = parse_qs(page.url.partition("#")[2])["cell"]
    suite, budget, task, _, network = address.split("/")
    cell = cells[suite, budget, task, network]
    assert f"{network} on {task}" in text
    assert f"rnnbench run {suite} --only {task}/{network}" in text
    assert {record.code.commit for record in cell.records} <= set(text.replace(",", " ").replace(";", " ").split())
    assert page.locator("dialog table.instances tbody tr").count() == len(cell.records)
    dialog = playwright.expect(page.locator("dialog"))
    page.go_back()
    dialog.to_be_hidden()
    page.go_forward()
    dialog.to_be_visible()
    page.keyboard.press("Escape")
    dialog.to_be_hidden()
    assert "cell=" not in page.url


def test_plots_hover_zoom_and_switch_lines_and_a_link_restores_them(opened, cells):
    page = opened("view=plots&column=" + quote("quick/cpu/Digits/accuracy", safe=""))
    svg = page.locator("figure.chart > .frame svg")
    svg.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator("#tip").inner_text().splitlines()
    curve = cells["quick", "cpu", "Digits", first[0]].finished
    assert f": {100 * statistic(record.curve[0].val['accuracy'] for record in curve).mean:.4g}" in first[2]
    box = page.locator("svg .ring").bounding_box()
    svg.blur()
    assert not page.locator("#tip").is_visible()
    page.mouse.move(box["x"] + box["width"] / 2 + 2, box["y"] + box["height"] / 2 - 2)
    assert page.locator("#tip").inner_text().splitlines() == first
    page.locator(".legend button", has_text="GRU").click()
    assert page.locator("svg .series").count() == 6
    page.locator("button[aria-label='Zoom in']").click()
    box = page.locator("figure.chart > .frame svg").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 700, box["y"] + 300, steps=3)
    page.mouse.up()
    assert "zoom=" in page.url
    again = opened(page.url.partition("#")[2])
    for part in ("#view", "#filters", "#status"):
        assert again.locator(part).inner_html() == page.locator(part).inner_html()


def test_every_plot_draws_points_and_tells_their_values(opened):
    page = opened("view=plots")
    for kind in ("Score against", "Along a setting", "Along time"):
        page.locator(".tabs button", has_text=kind).click()
        page.locator("figure.chart > .frame svg").wait_for()
        assert page.locator("svg .series").count() > 1
        page.locator("details.values summary").click()
        told = len(json.loads(exported(page, "json")))
        assert told > 3
        # The rows are drawn when the browser says that the table was opened, which may be after the click returns.
        playwright.expect(page.locator("details.values tbody tr")).to_have_count(told)


def test_claims_and_published_values_are_all_there(opened):
    page = opened("view=claims&verdict=fails")
    shown = json.loads(exported(page, "json"))
    assert {row["claim"] for row in shown} == set(page.locator(".claim h2 span").all_text_contents())
    assert page.locator(".claim .outcome circle").count() == sum(row["value"] is not None for row in shown)
    page.locator("nav a", has_text="Published").click()
    assert page.locator("table.published tbody tr").count() > 200
    page.locator("table.published a").first.click()
    assert page.locator("dialog").is_visible()


def test_dark_and_light_by_system_and_by_switch(opened):
    page = opened()
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(paper)
    assert dark != light
    page.locator("#theme").click()
    page.locator("#theme").click()
    assert (page.locator("#theme").text_content(), page.evaluate(paper)) == ("theme: light", light)
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator("nav").is_visible()


def test_accessibility_checker_finds_nothing_serious(opened):
    cell = quote("quick/cpu/Digits/accuracy/GRU", safe="")
    dark = ("suite=quick&theme=dark", "view=claims&verdict=fails&theme=dark", f"suite=quick&cell={cell}&theme=dark")
    for state in ("suite=quick", "view=plots&plot=scores", f"suite=quick&cell={cell}", *dark):
        page = opened(state)
        found = [one for one in axe.Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], state
        page.close()


@pytest.mark.parametrize("whole", [True, False], ids=["all records", "no records"])
def test_an_address_of_nonsense_shows_the_page(opened, committed, tmp_path, whole):
    nonsense = "plot=__proto__&x=toString&zoom=1,0,nan,2&axes=z&off=%25~|%7C&sort=-constructor&cell=none&least=x"
    for view in ("constructor", "overview", "plots", "plots&plot=scores", "plots&plot=sweeps", "plots&plot=measures"):
        page = opened(f"view={view}&{nonsense}", committed if whole else page_of(tmp_path))
        assert page.locator("#view > *").count() > 1
        assert page.locator(".frame svg").count() == (whole and view.startswith("plots"))
        page.close()


def test_hostile_records_show_as_text(opened, tmp_path):
    page = opened(file=page_of(tmp_path, *hostile()))
    names = rows_of(page)
    assert sum("<script>" in name for name in names) == 1
    assert "\\u202e" in "".join(names)
    for index in range(len(names)):
        page.locator("[data-cell]").nth(index).click()
        assert page.locator("dialog h2").inner_text()
        page.keyboard.press("Escape")
    assert [row["network"][:5] for row in rows_of_csv(page) if "calc" in row["network"]] == ["'=cmd"]
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


def test_ten_thousand_records_open_and_filter_at_once(opened, tmp_path):
    values = [round(0.1 + 0.02 * step, 2) for step in range(10)]
    base = make_record(val=values, test=values)
    names = [
        {"network": f"net{n}", "task": f"task{t}", "experiment_id": f"{n}e{t}"} for n in range(50) for t in range(40)
    ]
    synthetic = [base.model_copy(update={**name, "instance": i}) for name in names for i in range(5)]
    cells, _ = select_cells(synthetic)
    data = page_data(cells, [], SideFiles(tmp_path), {}, {}, len(synthetic))
    (tmp_path / "many.html").write_bytes(render({**data, "problems": []}))
    page = opened()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto((tmp_path / "many.html").as_uri())
    page.locator("th[title=net49]").wait_for()
    assert 0.01 < busy(session) < OPENS_WITHIN
    filtering = """text => {
        const search = document.querySelector('[name=q]');
        search.value = text;
        search.dispatchEvent(new Event('input', {bubbles: true}));
        return document.body.offsetHeight;  // lays out what is left
    }"""
    for text, last in (("net1", "net19"), ("task3", "net49"), ("", "net49")):
        before = busy(session)
        page.evaluate(filtering, text)
        page.locator(f"th[title={last}]").wait_for()
        assert 0.001 < busy(session) - before < FILTERS_WITHIN
