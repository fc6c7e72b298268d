"""A browser for tests of the page, and what they do with it.

Chromium is the system's: ``RNNBENCH_BROWSER`` names it and demands these tests, else the first one on the path is
taken, and without any they are skipped. Much of what follows an action comes in a later event, so that nothing is
looked at before the page says which address it has drawn (``data-drawn``) or an assertion has waited for it.
"""

import csv
import importlib
import io
import os
import shutil
from pathlib import Path

import pytest

DEMANDED = os.environ.get("RNNBENCH_BROWSER")
BROWSER = DEMANDED or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if not BROWSER:
    pytest.skip("no Chromium on the path: apt-get install chromium", allow_module_level=True)
needed = importlib.import_module if DEMANDED else pytest.importorskip
playwright, axe = needed("playwright.sync_api"), needed("axe_playwright_python.sync_playwright")

expect = playwright.expect
# Of patience, not of speed: a busy machine takes its time, most of all to start a browser and to open a page.
PATIENCE_MS = 120_000
expect.set_options(timeout=PATIENCE_MS)


def new_page(context, heard, file, state=""):
    page = context.new_page()
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: heard.append(dialog.message))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(f"{Path(file).as_uri()}#{state}")
    return page


def address(page):
    return page.evaluate("location.hash")


def drawn(page):
    """Wait until the page has drawn its address."""
    expect(page.locator("html")).to_have_attribute("data-drawn", address(page))
    return page


def changes_address(page, act, *given, **how):
    """Do something and wait until the page has drawn the address that it leads to; return that."""
    before = address(page)
    act(*given, **how)
    expect(page.locator("html")).not_to_have_attribute("data-drawn", before)
    return address(page)


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
    return page.locator("table.matrix tbody th")


def ranked(record):
    return record.scores.test.get(record.ranked.name)
