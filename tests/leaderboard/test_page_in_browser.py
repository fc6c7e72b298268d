"""The page in a real browser, from disk and without network: what a reader sees and does, against the records."""

import json
import re
from urllib.parse import parse_qs, quote

import pytest

from rnnbench.benchmark.config.plans import shipped_plans
from rnnbench.leaderboard.dynamics import SideFiles
from rnnbench.leaderboard.page.html import render
from rnnbench.leaderboard.page.write import gather
from rnnbench.leaderboard.statistics import select_cells, statistic
from rnnbench.leaderboard.store import find_records, shipped_records
from tests.leaderboard.browser import (
    BROWSER,
    PATIENCE_MS,
    axe,
    busy,
    changes_address,
    drawn,
    expect,
    exported,
    new_page,
    playwright,
    ranked,
    rows_of,
    rows_of_csv,
)
from tests.leaderboard.factory import make_record
from tests.leaderboard.test_page import data_of, hostile, page_of

MOST_BYTES = 3_000_000
OPENS_WITHIN, FILTERS_WITHIN = 3.0, 0.3


@pytest.fixture(scope="module")
def context():
    with playwright.sync_playwright() as started:
        # Chromium's own sandbox needs rights that containers lack.
        launched = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"], timeout=4 * PATIENCE_MS)
        made = launched.new_context(offline=True, viewport={"width": 1280, "height": 900}, accept_downloads=True)
        made.set_default_timeout(PATIENCE_MS)
        made.set_default_navigation_timeout(4 * PATIENCE_MS)
        yield made
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


@pytest.fixture(scope="module")
def heard():
    """Whatever pages log, and whatever they ask for but their own file."""
    return []


@pytest.fixture(scope="module")
def committed_page(context, heard, committed):
    return new_page(context, heard, committed)


@pytest.fixture
def opened(context, heard, committed_page):
    """Opens a state on the page of the committed records, or another file; what they log or ask for fails the test."""
    committed_page.mouse.move(0, 0)
    committed_page.emulate_media(media="screen", color_scheme="light")
    others = []

    def open_at(state="", file=None):
        if file is None:
            committed_page.evaluate("state => { location.hash = state }", state)
            return drawn(committed_page)
        others.append(new_page(context, heard, file, state))
        return others[-1]

    yield open_at
    for page in (committed_page, *others):
        page.evaluate("0")  # After it, all that the page has logged was heard.
    for page in others:
        page.close()
    # The file itself, its icon, and what is saved.
    wrong = [line for line in heard if not line.startswith(("file:", "data:image", "blob:"))]
    heard.clear()
    assert wrong == []


def test_what_is_shown_is_what_the_records_say(opened, cells, committed):
    assert committed.stat().st_size <= MOST_BYTES
    page = opened()
    tasks = {key[:3] for key, cell in cells.items() if cell.diverged or cell.over_finished(ranked)}
    left = {key[0] for key in cells if key[:3] not in tasks}
    assert set(page.locator("#view > .remark a").all_text_contents()) == left != set()
    cells = {key: cell for key, cell in cells.items() if key[:3] in tasks}
    as_csv, as_json = rows_of_csv(page), json.loads(exported(page, "json"))
    assert len(as_csv) == len(as_json) == len(cells)
    expect(page.locator("[data-cell]")).to_have_count(len(cells))
    for text, row in zip(as_csv, as_json, strict=True):
        assert text == {name: "" if value is None else text[name] for name, value in row.items()}
        cell = cells[tuple(row[name] for name in ("suite", "budget", "task", "network"))]
        found = cell.over_finished(ranked)
        expected = (found.mean, found.sd, found.n) if found else (None, None, 0)
        assert (row["mean"], row["sd"], row["n"]) == expected
        assert text["mean"] == "" or float(text["mean"]) == row["mean"]
        if found:
            gap = cell.metric.best - cell.metric.chance
            assert row["share_of_gap"] == pytest.approx((found.mean - cell.metric.chance) / gap, rel=1e-4)
        assert row["parameters"] == cell.first.parameters


def test_sorting_filters_and_search_follow_the_records(opened, cells):
    page = opened("suite=quick")
    digits = {key[3]: cell for key, cell in cells.items() if key[:3] == ("quick", "cpu", "Digits")}
    best_first = sorted(digits, key=lambda name: -digits[name].over_finished(ranked).mean)
    page.locator("thead button", has_text="Digits").click()
    expect(rows_of(page)).to_have_text(best_first)
    expect(page.locator("th[aria-sort=descending]")).to_have_count(1)
    page.locator("thead button", has_text="Digits").click()
    expect(rows_of(page)).to_have_text(best_first[::-1])
    expect(page.locator("th[aria-sort=ascending]")).to_have_count(1)
    page.locator("[name=q]").fill("gru")
    expect(rows_of(page)).to_have_text(["GRU"])
    page.locator(".reset").click()
    page.locator("[name=budget]").select_option("paper")
    page.locator("[name=least]").fill("1000")
    page.locator("[name=most]").fill("2000")
    among = [cell for cell in cells.values() if cell.first.budget == "paper" and 1000 <= cell.first.parameters <= 2000]
    expect(page.locator("#status")).to_have_text(re.compile(f"^{len(among)} cells"))
    assert set(rows_of(page).all_text_contents()) == {cell.first.network for cell in among}


def test_a_cell_opens_by_keyboard_and_back_closes_it(opened, cells):
    page = opened("suite=quick")
    page.locator("[data-cell][tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#tip")).to_contain_text("of the gap")
    (key,) = parse_qs(changes_address(page, page.keyboard.press, "Enter")[1:])["cell"]
    suite, budget, task, _, network = key.split("/")
    cell = cells[suite, budget, task, network]
    text = page.locator("dialog").inner_text()
    assert f"{network} on {task}" in text
    assert f"rnnbench run {suite} --only {task}/{network}" in text
    assert {record.code.commit for record in cell.records} <= set(text.replace(",", " ").replace(";", " ").split())
    assert page.locator("dialog table.instances tbody tr").count() == len(cell.records)
    dialog = expect(page.locator("dialog"))
    page.go_back()
    dialog.to_be_hidden()
    page.go_forward()
    dialog.to_be_visible()
    assert "cell=" not in changes_address(page, page.keyboard.press, "Escape")
    dialog.to_be_hidden()


def test_plots_hover_zoom_and_switch_lines_and_a_link_restores_them(opened, cells, committed):
    page = opened("view=plots&column=" + quote("quick/cpu/Digits/accuracy", safe=""))
    svg, tip = page.locator("figure.chart > .frame svg"), page.locator("#tip")
    svg.focus()
    page.keyboard.press("ArrowRight")
    expect(tip).to_be_visible()
    first = tip.locator("> *").all_text_contents()
    curve = cells["quick", "cpu", "Digits", first[0]].finished
    assert f": {100 * statistic(record.curve[0].val['accuracy'] for record in curve).mean:.4g}" in first[2]
    box = page.locator("svg .ring").bounding_box()
    svg.blur()
    expect(tip).to_be_hidden()
    page.mouse.move(box["x"] + box["width"] / 2 + 2, box["y"] + box["height"] / 2 + 2)
    expect(tip.locator("> *")).to_have_text(first)
    page.locator(".legend button", has_text="GRU").click()
    expect(page.locator("svg .series")).to_have_count(6)
    box = svg.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 700, box["y"] + 300, steps=3)
    assert "zoom=" in changes_address(page, page.mouse.up)
    # The pointer leaves the chart, or it may name a point.
    link = changes_address(page, page.locator("button[aria-label='Zoom in']").click)
    again = opened(link[1:], committed)
    for part in ("#view", "#filters", "#status"):
        assert again.locator(part).inner_html() == page.locator(part).inner_html()


def test_every_plot_draws_points_and_tells_their_values(opened):
    for kind, suite in (("Along a setting", "&suite=residual-strength"), ("Score against", ""), ("Along time", "")):
        # Of sweeps one with many lines: others may have few records yet.
        page = opened(f"view=plots{suite}")
        if kind not in page.locator(".tabs button[aria-pressed=true]").all_text_contents():
            page.locator(".tabs button", has_text=kind).click()
        expect(page.locator(".tabs button[aria-pressed=true]", has_text=kind)).to_have_count(1)
        assert page.locator("svg .series").count() > 1
        page.locator("details.values summary").click()
        exported_rows = len(json.loads(exported(page, "json")))
        assert exported_rows > 3
        expect(page.locator("details.values tbody tr")).to_have_count(exported_rows)


def test_claims_and_published_values_are_all_there(opened):
    page = opened("view=claims&verdict=fails")
    shown = json.loads(exported(page, "json"))
    assert {row["claim"] for row in shown} == set(page.locator(".claim h2 span").all_text_contents())
    assert page.locator(".claim .outcome circle").count() == sum(row["value"] is not None for row in shown)
    verdicts = """() => [...document.querySelectorAll(".outcomes tbody tr:has(circle)")].map((row) =>
        [getComputedStyle(row.querySelector(".verdict")).color, getComputedStyle(row.querySelector("circle")).fill])"""
    colours = page.evaluate(verdicts)
    assert all(of_text == of_dot for of_text, of_dot in colours)
    assert len({of_dot for _, of_dot in colours}) > 1  # some hold, in a claim that fails
    opened("view=claims&verdict=open")
    said = page.locator("#view").inner_text()
    assert re.search(r"cells? missing, (about [\d.]+ core-hours?|the hours are those of another claim):", said)
    changes_address(page, page.locator("nav a", has_text="Published").click)
    rows = page.locator("table.published tbody tr").all_inner_texts()
    assert len(set(rows)) == len(rows) > 200
    page.locator("table.published a").first.click()
    expect(page.locator("dialog")).to_be_visible()


def test_dark_and_light_by_system_and_by_switch(opened):
    page = opened()
    paper, theme = page.locator("body"), page.locator("#theme")
    light = paper.evaluate("body => getComputedStyle(body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    expect(paper).not_to_have_css("background-color", light)
    for shown in ("dark", "light"):
        theme.click()
        expect(theme).to_have_text(f"theme: {shown}")
    expect(paper).to_have_css("background-color", light)
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("nav")).to_be_hidden()


def test_boards_print_apart_large_enough_to_read(opened):
    page = opened()
    printed, shown = page.locator("table.matrix"), page.locator("table.matrix [data-cell]")
    cells = int(page.locator("#status").inner_text().split()[0])
    expect(shown).to_have_count(cells)  # rows come in parts
    groups = page.locator("table.matrix th.group").count()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert printed.count() == groups > 5
    assert shown.count() == cells
    assert min(printed.evaluate_all("tables => tables.map((one) => Number(one.style.zoom))")) > 0.8
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert (printed.count(), shown.count()) == (1, cells)
    assert printed.evaluate("one => one.style.zoom") == ""


def test_accessibility_checker_finds_nothing_serious(opened):
    cell = quote("quick/cpu/Digits/accuracy/GRU", safe="")
    light = ("suite=quick", "view=plots&plot=scores", "view=published&q=psmnist")
    for state in (*light, f"suite=quick&cell={cell}&theme=dark", "view=claims&verdict=fails&theme=dark"):
        page = opened(state)
        found = [one for one in axe.Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], state


@pytest.mark.parametrize("whole", [True, False], ids=["all records", "no records"])
def test_an_address_of_nonsense_shows_the_page(opened, committed, tmp_path, whole):
    nonsense = "plot=__proto__&x=toString&zoom=1,0,nan,2&axes=z&off=%25~|%7C&sort=-constructor&cell=none&least=x"
    page = opened(f"view=__proto__&{nonsense}", committed if whole else page_of(tmp_path))
    for view in ("constructor", "overview", "plots", "plots&plot=scores", "plots&plot=sweeps", "plots&plot=measures"):
        changes_address(page, page.evaluate, "state => { location.hash = state }", f"view={view}&{nonsense}")
        assert page.locator("#view > *").count() > 2
        assert "names a cell that is not on this page: none." in page.locator("#unknown-cell").inner_text()
        assert page.locator(".frame svg").count() == (whole and view.startswith("plots"))


def test_hostile_records_show_as_text(opened, tmp_path):
    page = opened(file=page_of(tmp_path, *hostile()))
    names = rows_of(page).all_text_contents()
    assert sum("<script>" in name for name in names) == 1
    assert "\\u202e" in "".join(names)
    for index in range(len(names)):
        page.locator("[data-cell]").nth(index).click()
        assert page.locator("dialog h2").inner_text()
        changes_address(page, page.keyboard.press, "Escape")
    assert [row["network"][:5] for row in rows_of_csv(page) if "calc" in row["network"]] == ["'=cmd"]
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


# Close to the best possible value, the rest is shown.
SHARES = ((1, "100"), (0.9998, "99.98"), (0.999996, "ε4e−4"), (0.993, "99.3"), (0.984, "98"), (-0.5, "−50"))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The page of 10,000 records: the one cell of five instances, for 50 networks on 40 tasks."""
    folder = tmp_path_factory.mktemp("many")
    values = [round(0.1 + 0.02 * step, 2) for step in range(10)]
    data = data_of(page_of(folder, *[make_record(val=values, test=values, instance=i) for i in range(5)]))
    (cell,), (column,) = data["cells"], data["columns"]
    (folder / "many.html").write_bytes(
        render(
            {
                **data,
                "records": 10_000,
                "networks": [f"net{n}" for n in range(50)],
                "columns": [{**column, "task": f"task{t}"} for t in range(40)],
                "cells": [
                    {**cell, "network": n, "column": t, **({"share": SHARES[n][0]} if n < len(SHARES) else {})}
                    for n in range(50)
                    for t in range(40)
                ],
            }
        )
    )
    return folder / "many.html"


SEARCHES = (("net1", 11 * 40), ("task3", 50 * 11), ("", 50 * 40))


def test_ten_thousand_records_open_and_filter(opened, many):
    page = opened(file=many)
    expect(page.locator("[data-cell]")).to_have_count(50 * 40)
    for row, (_, text) in enumerate(SHARES):
        expect(page.locator("[data-cell]").nth(40 * row)).to_have_text(text)
    for text, found in SEARCHES:
        page.locator("[name=q]").fill(text)
        expect(page.locator("[data-cell]")).to_have_count(found)
        expect(page.locator("#status")).to_have_text(re.compile(f"^{found:,} cells"))


@pytest.mark.slow
def test_ten_thousand_records_open_and_filter_at_once(opened, many):
    page = opened(file=many)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.reload()
    expect(page.locator("[data-cell]")).to_have_count(50 * 40)
    assert 0.01 < busy(session) < OPENS_WITHIN
    filtering = """text => {
        const search = document.querySelector('[name=q]');
        search.value = text;
        search.dispatchEvent(new Event('input', {bubbles: true}));
        return document.body.offsetHeight;  // lays out what is left
    }"""
    for text, found in SEARCHES:
        before = busy(session)
        page.evaluate(filtering, text)
        assert 0.001 < busy(session) - before < FILTERS_WITHIN
        expect(page.locator("[data-cell]")).to_have_count(found)
