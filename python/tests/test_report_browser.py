"""The page of `report`, opened in a real browser: Debian's chromium, driven by selenium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nearwood as nw

#: Item 0 is the most popular, and so on; each of these would show if it were markup or code.
NASTY = {
    "i0": "</script><script>document.title = 'ran'</script>",
    "i1": "<img src=x onerror=\"document.title = 'ran'\">",
    "i2": "Sigur Rós & \"friends\" 'live'",
    "i3": "שלום عالم",
    "i4": "🎵 emoji <!--",
}
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--disable-dev-shm-usage"),
)


def plays() -> nw.Interactions:
    """Eighty users of two camps; the lower an item's number, the more users have it."""
    rows = [
        (f"u{user}", f"i{item}")
        for user in range(80)
        for item in range(user % 2, 40, 2)
        if (user * 7 + item * 11) % 47 >= item
    ]
    rows += [(f"u{user}", f"i{item}") for item in range(5) for user in range(item, 60 - item)]
    users, items = zip(*sorted(set(rows)), strict=True)
    return nw.Interactions.from_columns(list(users), list(items))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    data = plays()
    names = {i: NASTY.get(i, f"Song {i}") for i in map(str, data.item_ids)}
    train, test = data.split("leave_k_out", k=1, seed=0)
    rec = nw.Recommender.fit(train, factors=8, item_names=names, progress=False)
    rec.save(folder / "rec.nw")
    nw.report(folder / "rec.nw", folder / "rec.html", test=test, k=5)
    # No labels, and distances that no fixed number of decimals shows.
    tiny = 1e-6 * np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    nw.Index.build(tiny).save(folder / "tiny.nw")
    nw.report(folder / "tiny.nw", folder / "tiny.html", queries=tiny[:20] + 1e-7)
    nw.report(nw.Index.build([[1.0, 2.0]], labels=["alone"]), folder / "one.html")
    nw.report(nw.Index.build(np.zeros((6000, 3))), folder / "most.html", items=5000, speed=False)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: NEARWOOD_SCREENSHOTS names a folder to keep them in."""
    folder = Path(os.environ.get("NEARWOOD_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("NOT RUN: no chromium and chromedriver (Debian: chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="NOT RUN: no selenium")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


def show(browser: Any, page: Path, width: int = 1100, scheme: str = "light") -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())


def text(browser: Any, selector: str) -> list[str]:
    return [found.text for found in browser.find_elements("css selector", selector)]


def type_into(browser: Any, words: str) -> Any:
    search = browser.find_element("id", "search")
    search.clear()
    search.send_keys(words)
    return search


def test_the_page_runs_without_a_complaint_and_asks_for_nothing(
    browser: Any, pages: Path, pictures: Path
) -> None:
    browser.get_log("performance")
    for scheme, ground in [("light", "rgb(255, 255, 255)"), ("dark", "rgb(13, 17, 23)")]:
        show(browser, pages / "rec.html", scheme=scheme)
        assert browser.title == "rec.nw · nearwood", "no name has run as code"
        style = "return getComputedStyle(document.body).backgroundColor"
        assert browser.execute_script(style) == ground
        picture = pictures / f"{scheme}.png"
        assert browser.save_screenshot(str(picture)) and picture.stat().st_size > 20_000
    assert browser.get_log("browser") == []
    messages = [entry["message"] for entry in browser.get_log("performance")]
    sent = [message for message in messages if "Network.requestWillBeSent" in message]
    # The browser's own empty tab, before the first page.
    sent = [message for message in sent if '"documentURL":"chrome://' not in message]
    assert len(sent) >= 2 and all("rec.html" in message for message in sent)


def test_hovering_shows_a_name(browser: Any, pages: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    show(browser, pages / "rec.html")
    canvas = browser.find_element("id", "map")
    drawn = "return new Set(arguments[0].getContext('2d').getImageData(0, 0, 999, 999).data).size"
    assert browser.execute_script(drawn, canvas) > 10, "something is drawn"
    assert text(browser, "#tip bdi") == []
    canvas.send_keys(Keys.ARROW_DOWN)
    first = "return JSON.parse(document.getElementById('data').textContent).names[0]"
    assert text(browser, "#tip bdi") == [browser.execute_script(first)], "arrows begin there"
    # To the left until the sheet stands where the right edge does not bound it: 12 pixels right of
    # its item, and 12 below or, where there is no room, 10 above.
    sheet = """
        const [tip, map] = ["tip", "map"].map(
            (id) => document.getElementById(id).getBoundingClientRect());
        return [tip.left - 12, [tip.top - 12, tip.bottom + 10], tip.right < map.right - 8]"""
    for _ in range(30):
        x, ys, is_free = browser.execute_script(sheet)
        if is_free:
            break
        canvas.send_keys(Keys.ARROW_LEFT)
    assert is_free
    (name,) = text(browser, "#tip bdi")
    mouse = {"type": "mouseMoved", "button": "none"}
    browser.execute_script("arguments[0].blur()", canvas)
    assert not browser.find_element("id", "tip").is_displayed()
    shown = []
    for y in ys:
        browser.execute_cdp_cmd("Input.dispatchMouseEvent", mouse | {"x": x, "y": y})
        shown += text(browser, "#tip bdi")
        if name in shown:
            break
    assert name in shown
    click = {"x": x, "y": y, "button": "left", "clickCount": 1}
    for kind in ("mousePressed", "mouseReleased"):
        browser.execute_cdp_cmd("Input.dispatchMouseEvent", click | {"type": kind})
    assert text(browser, "#answer h3") == [name]


def test_the_search_finds_what_is_near(browser: Any, pages: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    rec = nw.Recommender.open(pages / "rec.nw")
    show(browser, pages / "rec.html")
    asked = {"sigur ros": "i2", "שלום": "i3", "</SCRIPT>": "i0", "song i17": "i17"}
    for words, item in asked.items():
        search = type_into(browser, words)
        assert text(browser, "#found bdi")[0] == NASTY.get(item, f"Song {item}")
        search.send_keys(Keys.ENTER)
        assert text(browser, "#answer h3") == [NASTY.get(item, f"Song {item}")]
        assert f"id {item}" in text(browser, "#answer p")[0]
        near, distances = rec.similar(item, k=10)
        assert text(browser, "#answer li bdi") == [NASTY.get(i, f"Song {i}") for i in near]
        told = [float(far) for far in text(browser, "#answer li > span")]
        assert told == pytest.approx(distances.tolist(), abs=2e-4)
    button = browser.find_element("css selector", "#answer li button")
    wanted = button.text
    button.send_keys(Keys.ENTER)
    assert text(browser, "#answer h3") == [wanted]
    type_into(browser, "no such song")
    assert "None of the 40 items" in text(browser, "#found li")[0]
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("name", ["tiny", "one", "most"])
def test_other_pages_run_without_a_complaint(
    browser: Any, pages: Path, pictures: Path, name: str
) -> None:
    browser.get_log("browser")
    show(browser, pages / f"{name}.html")
    assert ("Measured with" in browser.page_source) == (name != "most")
    assert len(text(browser, "svg")) >= 3 and text(browser, "h1") != []
    assert browser.save_screenshot(str(pictures / f"{name}.png"))
    assert browser.get_log("browser") == []


def test_what_has_no_label_is_found_by_its_id_and_small_distances_are_told(
    browser: Any, pages: Path
) -> None:
    from selenium.webdriver.common.keys import Keys

    show(browser, pages / "tiny.html")
    type_into(browser, "117").send_keys(Keys.ENTER)
    assert text(browser, "#answer h3") == ["117"]
    near, distances = nw.Index.open(pages / "tiny.nw").search_ids(117, 10)
    assert text(browser, "#answer li bdi") == [str(i) for i in near]
    told = [float(far) for far in text(browser, "#answer li > span")]
    assert told == pytest.approx(distances.tolist(), rel=2e-3)


def test_a_phone_shows_all_of_it(browser: Any, pages: Path, pictures: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    show(browser, pages / "rec.html", width=360)
    type_into(browser, "song i9").send_keys(Keys.ENTER)
    assert len(text(browser, "#answer li")) == 10
    assert browser.execute_script("return document.documentElement.scrollWidth") == 360
    assert browser.save_screenshot(str(pictures / "phone.png"))
