"""The page in a browser: its numbers are the library's, and it does what it says."""

import json
import os
import shutil

import numpy as np
import pytest
from small_pages import LAG, drawn_networks, expected, remembering

from experiments.common.variants import TAUGHT
from experiments.page import images, page

pytestmark = pytest.mark.site
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# As many steps as the first strip, so that the library compiles once.
COMPOSED = ["fox", "tree", "squirrel", "goldfish", "cat", "pine", "question"]
TOLERANCE = 1e-7  # both compute in float64; 1e-5 is promised


@pytest.fixture(scope="module")
def networks():
    return drawn_networks()


@pytest.fixture(scope="module")
def browser():
    """A headless browser that keeps what the console says."""
    binary = next(filter(None, map(shutil.which, BROWSERS)), None)
    if binary is None:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.add_argument("--headless=new")
    options.add_argument("--window-size=1280,800")
    options.add_argument("--disable-dev-shm-usage")  # a container's may be 64 MiB
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = shutil.which("chromedriver")
    assert driver, "a browser, but no chromedriver: apt-get install chromium-driver"
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def address(networks, tmp_path_factory):
    place = tmp_path_factory.mktemp("page") / "page.html"
    place.write_text(page(networks), encoding="utf-8")
    return place.as_uri()


@pytest.fixture
def opened(browser, address):
    """Opens the page anew, at the end of a link; then the console must be empty."""

    def open_at(link=""):
        browser.get("about:blank")
        browser.get(address + link)
        return browser

    yield open_at
    assert browser.get_log("browser") == []


def got(browser):
    """What `get` returns, over JSON."""
    return json.loads(browser.execute_script("return JSON.stringify(lstmJax.get())"))


def changed(browser, **changes):
    browser.execute_script("lstmJax.set(arguments[0])", changes)
    return got(browser)


def assert_shows(found, networks, strip, *settings):
    for name in TAUGHT:
        wanted = expected(networks, name, strip, *settings)
        cell = found["cells"][name]
        assert set(cell) == set(wanted)
        for what, values in wanted.items():
            assert_equal(cell[what], values, f"{name} {what}")


def assert_equal(found, wanted, what):
    if wanted is None:
        assert found is None
    elif isinstance(wanted, dict):
        assert set(found) == set(wanted), what
        for name, values in wanted.items():
            assert_equal(found[name], values, f"{what} {name}")
    else:
        np.testing.assert_allclose(
            np.array(found, float), wanted, rtol=0, atol=TOLERANCE, err_msg=what
        )


def test_it_shows_what_the_library_computes(opened, networks):
    found = got(opened())
    strip = images.first_strip(LAG)
    assert found["strip"] == strip
    np.testing.assert_allclose(found["inputs"], images.inputs_of(strip), atol=TOLERANCE)
    assert_shows(found, networks, strip)


def test_both_sliders_and_a_strip_change_all_numbers(opened, networks):
    found = changed(opened(), strip=COMPOSED, forgetBias=-1.5, gain=1.7)
    assert found["strip"][1] == "oak"
    assert_shows(found, networks, COMPOSED, -1.5, 1.7)


def test_before_training_it_has_the_initial_weights(opened, networks):
    found = changed(opened(), trained=False, gain=0.5)
    assert_shows(found, networks, images.first_strip(LAG), 0.0, 0.5, False)


def test_a_gradient_below_the_smallest_float_keeps_its_logarithm(opened, networks):
    found = changed(opened(), forgetBias=-10, gain=1e-60)
    assert found["cells"]["rnn"]["logGradient"]["h"][0] < np.log(5e-324)
    assert_shows(found, networks, images.first_strip(LAG), -10, 1e-60)


def test_a_gradient_of_zero_is_null(opened):
    found = changed(opened(), gain=0)
    assert found["cells"]["rnn"]["logGradient"]["h"] == [None] * (LAG + 2)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "All three forget the bear."),
        (
            ["lstm"],
            "The RNN and the four-gate cell forget the bear. The LSTM keeps it.",
        ),
        (
            ["rnn", "lstm"],
            "The RNN and the LSTM keep the bear. The four-gate cell forgets it.",
        ),
    ],
)
def test_the_headline_is_what_the_answers_say(browser, networks, tmp_path, names, said):
    place = tmp_path / "page.html"
    place.write_text(page(remembering(networks, *names)), encoding="utf-8")
    browser.get(place.as_uri())
    headline = lambda: browser.execute_script(
        "return document.querySelector('h1').textContent"
    )
    assert headline() == said
    no_scene = ["oak", "question"]
    browser.execute_async_script(
        "lstmJax.set({strip: arguments[0]}); requestAnimationFrame(arguments[1])",
        no_scene,
    )
    assert headline() == "Without a scene, nothing to remember."


def test_it_asks_for_no_other_file(opened):
    browser = opened()
    entries = "return performance.getEntriesByType('resource').length"
    assert browser.execute_script(entries) == 0


def test_what_the_reader_does_calls_set(opened):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    browser = opened()
    find = lambda selector: browser.find_element(By.CSS_SELECTOR, selector)
    find("[data-do=swap]").click()
    Select(find("[data-step='1']")).select_by_visible_text("squirrel")
    find("[name=forgetBias]").send_keys(Keys.ARROW_RIGHT)
    find("[name=gain]").send_keys(Keys.ARROW_LEFT)
    find("[for=before]").click()
    found = got(browser)
    assert found["strip"][:2] == ["armchair", "squirrel"]
    assert (found["forgetBias"], found["gain"], found["trained"]) == (0.01, 0.99, False)
    find("[data-do=longer]").click()
    assert len(got(browser)["strip"]) == LAG + 3
    find("[data-do=reset]").click()
    assert got(browser) == got(opened())


def test_a_link_opens_the_page_as_it_was(opened):
    from selenium.webdriver.support.wait import WebDriverWait

    browser = opened()
    found = changed(browser, strip=COMPOSED, forgetBias=0.25, gain=2, trained=False)
    link = lambda browser: browser.execute_script("return location.hash")
    written = WebDriverWait(browser, 5).until(link)
    assert got(opened(written)) == found


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("#strip=bear,lion", "strip: got lion; it must be one of bear, fox"),
        ("#strip=bear", "strip: got 1; it must be a list of 2 to 64 names"),
        ("#gain=many", "gain: got null; it must be a number from 0 to 3"),
        ("#forgetBias=11", "forgetBias: got 11; it must be a number from -10 to 10"),
        ("#training=never", "training: got never; it must be before or after"),
        ("#bear", "link: got bear; it must be one of strip, forgetBias"),
    ],
)
def test_a_broken_link_shows_the_first_page_and_says_so(opened, link, reason):
    browser = opened(link)
    said = browser.execute_script("return document.querySelector('.notice').innerText")
    assert "link is broken" in said and reason in said
    assert got(browser)["strip"] == images.first_strip(LAG)


def test_set_refuses_what_is_not_allowed_and_changes_nothing(opened):
    from selenium.common.exceptions import JavascriptException

    browser = opened()
    before = got(browser)
    with pytest.raises(JavascriptException, match=r"gain: got 9; it must be a number"):
        changed(browser, forgetBias=1, gain=9)
    assert got(browser) == before


def test_it_says_what_the_answers_are_and_everything_has_a_name(opened):
    browser = opened()
    shown = browser.execute_script("return document.body.innerText")
    assert "8 x 8 handwritten digits stand in for the animals" in shown.replace(
        "\xa0", " "
    )
    assert "drawn <b>& not trained</b>" in shown
    nameless = """
return [...document.querySelectorAll("input, select, button, [role=img]")].filter(
  (one) => !one.ariaLabel && !one.labels?.length && !one.innerText).length"""
    assert browser.execute_script(nameless) == 0
