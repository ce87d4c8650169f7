"""The pages in a browser, of a live daemon: quiet, whole without script, news as they come, no barrier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shiftwatch.values import Evidence, Verdict
from shiftwatch.web import create_app
from shiftwatch.web.gate import Access
from shiftwatch.web.tokens import TokenFile
from tests.browsing import (
    SCHEMES,
    WIDTHS,
    Browser,
    Watched,
    browser,
    is_wider_than_its_window,
    pictures,
    violations,
)
from tests.test_accept import CONFIG, wait_for, write
from tests.test_accept import house as folder
from tests.test_daemon import Running, running
from tests.test_gate import OPERATING, OPERATOR, READER, READING
from tests.test_server import served
from tests.test_web import TableBoard, board_of, row_of, run_of, snapshot_of, status_of

__all__ = ["folder"]  # a fixture
pytestmark = pytest.mark.slow  # a browser and a daemon

MODEL = "/models/churn"
REPORT = "/api/v1/models/churn/report?format=html"
PATHS = {"overview": "/", "model": MODEL, "report": REPORT, "docs": "/docs"}


@pytest.fixture(scope="module")
def shown() -> Iterator[Browser]:
    from shutil import which  # noqa: PLC0415

    from tests.conftest import absent  # noqa: PLC0415

    with browser(which("chromium") or absent("program chromium")) as opened:
        yield opened


@pytest.fixture
def daemon(folder: Path) -> Iterator[Running]:
    text = CONFIG + 'schedule: {every: 1s}\nweb: {listen: "127.0.0.1:0"}\n'
    (folder / "shiftwatch.yml").write_text(text, encoding="utf-8")
    with running(folder) as started:
        wait_for(lambda: len(started.json("/api/v1/models/churn/batches")["batches"]) == 4)
        yield started


def ready(watched: Watched) -> Any:
    """The page, once its charts are drawn and it has asked for news."""
    page = watched.page
    page.wait_for_selector("#live:text('Live')")
    return page


def test_every_page_is_quiet_asks_nobody_else_and_has_no_barrier(
    daemon: Running, shown: Browser
) -> None:
    for name, path in PATHS.items():
        pictures(shown, daemon.url + path, name)
        for scheme in SCHEMES:
            for width in WIDTHS:
                watched = shown.open(daemon.url + path, width=width, scheme=scheme)
                assert not is_wider_than_its_window(watched.page), (name, width)
                if width != 768:
                    assert violations(watched.page) == [], (name, width, scheme)
                assert watched.faults == [], (name, width, scheme)
                watched.page.context.close()


def test_without_script_every_page_says_the_same(daemon: Running, shown: Browser) -> None:
    for name, path in PATHS.items():
        watched = shown.open(daemon.url + path, script=False)
        text = watched.page.inner_text("main")
        assert watched.faults == []
        if name in ("overview", "model"):
            assert "alarm: input" in text
            assert watched.page.locator("svg rect").count() == 4
            assert watched.page.locator(".forms:visible").count() == 0
        if name == "model":
            assert "shiftwatch silence CONFIG churn" in text
        watched.page.context.close()


def test_news_appear_without_a_reload(daemon: Running, folder: Path, shown: Browser) -> None:
    watched = shown.open(daemon.url + "/")
    page = ready(watched)
    page.evaluate("window.stayed = true")
    before = page.inner_text("#card-churn dl")
    write(folder, 1.0, first=4)
    page.wait_for_function(
        "before => document.querySelector('#card-churn dl').innerText !== before", arg=before
    )
    assert page.evaluate("window.stayed")
    newest = daemon.json("/api/v1/models/churn/batches")["batches"][0]
    assert newest["uri"].rpartition("/")[2] in page.inner_text("#card-churn dl")
    assert watched.faults == []


def test_a_daemon_that_is_gone_is_said_so(folder: Path, shown: Browser) -> None:
    with running(folder) as daemon:
        watched = shown.open(daemon.url + "/")
        page = ready(watched)
    page.wait_for_selector("#live:text('No connection since')")


SEEN_WHOLE = "whole => document.querySelector('.under button').hidden === whole"
"""Whether the way back from a zoom is offered."""


def drawn(page: Any) -> str:
    return str(page.evaluate("document.querySelector('.chart canvas').toDataURL()"))


def test_a_timeline_zooms_by_dragging_and_back_by_a_button(daemon: Running, shown: Browser) -> None:
    page = ready(shown.open(daemon.url + "/"))
    page.wait_for_selector(".chart canvas")
    whole = drawn(page)
    box = page.locator(".u-over").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.1 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], middle, steps=5)
    page.mouse.up()
    page.wait_for_timeout(200)
    page.wait_for_function(SEEN_WHOLE, arg=False)
    assert drawn(page) != whole
    assert page.url == daemon.url + "/", "a drag opens no report"
    page.locator("button:text('Show all')").click()
    page.wait_for_function(SEEN_WHOLE, arg=True)
    assert page.url == daemon.url + "/"


def test_a_timeline_is_read_zoomed_and_followed_by_the_keyboard(
    daemon: Running, shown: Browser
) -> None:
    page = ready(shown.open(daemon.url + MODEL))
    plot = page.get_by_role("slider", name="Checks of churn")
    plot.focus()
    newest = plot.get_attribute("aria-valuetext")
    assert "shift, alarm on; inputs" in newest
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('.plot').ariaValueNow === '1'")
    assert "no shift" in plot.get_attribute("aria-valuetext")
    assert plot.get_attribute("aria-valuetext") == page.inner_text(".told")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.plot').ariaValueNow === '2'")
    page.keyboard.press("+")
    page.wait_for_function(SEEN_WHOLE, arg=False)
    page.keyboard.press("Escape")
    page.wait_for_function(SEEN_WHOLE, arg=True)
    page.keyboard.press("Enter")
    page.wait_for_url("**/report?**")
    oldest_but_one = daemon.json("/api/v1/models/churn/batches")["batches"][2]["batch_id"]
    assert oldest_but_one in page.url


def test_a_click_on_a_check_opens_its_report(daemon: Running, shown: Browser) -> None:
    page = ready(shown.open(daemon.url + "/"))
    page.wait_for_selector(".chart canvas")
    box = page.locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 20)
    assert "alarm on" in page.inner_text(".told")
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + 20)
    page.wait_for_url("**/report?**")
    assert page.locator("h1").count() == 1


def test_an_operator_silences_annotates_and_compares_on_the_page(
    daemon: Running, shown: Browser
) -> None:
    watched = shown.open(daemon.url + MODEL)
    page = ready(watched)

    def form(title: str) -> Any:
        return page.locator("form", has=page.locator(f"h3:text-is('{title}')"))

    for title in ("Silence", "Compare"):
        form(title).locator("summary").click()
    form("Silence").locator("[name=until]").fill("2h")
    form("Silence").locator("[name=text]").fill("<b>release</b>")
    form("Silence").locator("button").click()
    page.wait_for_selector("#said :text('in force')")
    assert "<b>release</b>" in page.inner_text("#said")
    assert daemon.metric('shiftwatch_silenced{model="churn",scope="input"}') == 1.0
    form("Silence").locator("[name=until]").fill("soon")
    form("Silence").locator("button").click()
    page.wait_for_selector("output.fault")
    assert "is no time" in form("Silence").locator("output").inner_text()
    form("Compare").locator("button").click()
    wait_for(
        lambda: form("Compare").locator("output").inner_text()[:4] in ("done", "fail") or None, 90
    )
    assert form("Compare").locator("output").inner_text() == "done. Open the report"
    page.locator("output a").click()
    page.wait_for_url("**/comparisons/**")
    assert "the reference" in page.inner_text("main")
    said = [line for line in watched.said if "400" not in line]
    assert (said, watched.outside) == ([], []), (
        "a refused request is told to the console by the browser"
    )


def test_the_keyboard_alone_reaches_everything(daemon: Running, shown: Browser) -> None:
    page = ready(shown.open(daemon.url + MODEL))
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.outerHTML.slice(0, 80) + document.activeElement.name"
            )
        )
    for part in ('href="/"', 'role="slider"', 'name="state"', "<button", "<summary"):
        assert any(part in each for each in reached), part
    page.locator("summary", has_text="Silence").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "until"


def test_an_operator_takes_a_word_back_and_the_timeline_shows_it_while_it_holds(
    daemon: Running, shown: Browser
) -> None:
    watched = shown.open(daemon.url + MODEL)
    page = ready(watched)
    page.locator("summary", has_text="Annotate").click()
    form = page.locator("form", has=page.locator("h3:text-is('Annotate')"))
    form.locator("[name=text]").fill("<i>campaign</i>")
    form.locator("[name=start]").fill("2026-01-01T01:30:00Z")
    form.locator("[name=by]").fill("Ada")
    form.locator("button").click()
    page.wait_for_selector("#said :text('in force')")
    assert "Ada" in page.inner_text("#said")
    assert "known change: <i>campaign</i>" in page.inner_text(".told")
    plain = shown.open(daemon.url + MODEL, script=False).page
    assert plain.locator("path.said title").text_content() == "known change: <i>campaign</i>"
    page.locator("#said button:text-is('End')").click()
    page.wait_for_selector("#said :text('ended by')")
    assert page.locator("#said button").count() == 0
    assert violations(page) == []
    assert watched.faults == []


# --- who may ------------------------------------------------------------------------------------


def test_a_token_that_only_reads_is_shown_the_page_and_no_form(
    shown: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"{READING}\n{OPERATING}\n", encoding="utf-8")
    board = board_of(rows=[row_of(1)])
    with served(create_app(board, Access(TokenFile(str(path))))) as port:
        address = f"http://127.0.0.1:{port}{MODEL}"
        reads = shown.open(address, credentials=("", READER))
        page = ready(reads)
        assert "is read-only" in page.inner_text("#do")
        assert page.locator(".forms").count() == 0
        told = page.evaluate(
            "fetch('/api/v1/models/churn/checks', {method: 'POST'}).then(a => a.json())"
        )
        assert told["status"] == 403
        assert violations(page) == []
        page = ready(shown.open(address, credentials=("", OPERATOR)))
        page.locator("button:text-is('Check')").click()
        page.wait_for_selector("output:text('running')")
        path.write_text(f"{READING}\n", encoding="utf-8")
        page.wait_for_selector("#live:text('Your token is not taken any more')")


# --- many models -------------------------------------------------------------------------------


def fleet(count: int) -> TableBoard:
    """Models in every state."""
    kinds: tuple[Verdict, ...] = ("no_shift", "shift", "insufficient_data", "invalid_data", "error")
    models = []
    for number in range(count):
        run = run_of(kinds[number % 5], alarm=number % 5 == 1)
        decision = replace(run.decisions[0], evidence=Evidence(0.3, 0.2, 0.1))
        run = replace(run, decisions=(decision,))
        models.append(status_of(run, name=f"model-{number:03}"))
    rows = [row_of(seq) | {"evidence": {"input": seq % 7 / 5}} for seq in range(60)]
    return TableBoard(snapshot_of(*models), rows=rows)


def test_many_models_come_with_the_most_urgent_first_and_are_found_by_name_and_state(
    shown: Browser,
) -> None:
    with served(create_app(fleet(60))) as port:
        address = f"http://127.0.0.1:{port}/"
        pictures(shown, address, "fleet")
        watched = shown.open(address)
        page = ready(watched)
        names = [
            card.get_attribute("data-name") for card in page.locator("section[data-name]").all()
        ]
        assert len(names) == 60
        assert [int(name[-3:]) % 5 for name in names[:12]] == [1] * 12
        page.locator("[name=q]").fill("-04")
        assert page.locator("section[data-name]:visible").count() == 10
        page.locator("[name=state]").select_option("shift")
        assert page.locator("section[data-name]:visible").count() == 2
        assert "2 of 60 shown" in page.inner_text("#shown")
        assert violations(page) == []
        assert watched.faults == []
        plain = shown.open(f"{address}?q=-04&state=shift", script=False)
        assert plain.page.locator("section[data-name]").count() == 2
        none = shown.open(f"{address}?q=nothing", script=False)
        assert "No model fits" in none.page.inner_text("main")


def test_a_script_of_ours_is_well_formed(system: Callable[[str], str]) -> None:
    import subprocess  # noqa: PLC0415

    script = Path(__file__).parents[1] / "shiftwatch" / "web" / "static" / "pages.js"
    subprocess.run([system("node"), "--check", str(script)], check=True)


def test_of_five_hundred_models_a_page_shows_the_hundred_most_urgent(shown: Browser) -> None:
    with served(create_app(fleet(500))) as port:
        address = f"http://127.0.0.1:{port}/"
        page = ready(shown.open(address))
        cards = page.locator("section[data-name]")
        assert cards.count() == 100
        assert "500 of 500 fit, 100 on this page" in page.inner_text("#shown")
        page.locator(".pages a:text-is('5')").click()
        page.wait_for_url("**/?page=5")
        states = {card.get_attribute("data-states") for card in cards.all()}
        assert states == {"no_shift"}
        page.locator("[name=state]").select_option("error")
        page.wait_for_url("**state=error*")
        assert cards.count() == 100
        page.locator("[name=q]").fill("-49")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=-49*")
        assert cards.count() == 2
        assert page.inner_text("#shown") == "2 of 500 fit"
