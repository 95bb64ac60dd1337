"""The HTML page in Chromium: what a person clicks and types works, and nothing of a patch runs."""

import shutil

import pytest
from test_page import KERNEL, PATCH, RESULT

from patchbot.checking.page import page

selenium = pytest.importorskip("selenium.webdriver", reason="it needs selenium and chromium: make page")
pytestmark = pytest.mark.skipif(
    not shutil.which("chromium") or not shutil.which("chromedriver"),
    reason="it needs chromium: apt-get install chromium chromium-driver; then: make page",
)

EVIL = "</pre><script>window.ran = 1</script><img src=x onerror='window.ran = 1'><a href=javascript:window.ran=1>"
CSS = "css selector"


def diff_of(path: str, *lines: str) -> str:
    body = "".join(f"+{line}\n" for line in lines)
    return f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n{body}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = selenium.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        driver = selenium.Chrome(options=options, service=selenium.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, tmp_path):
    """A page of three patches: one that fails and is hostile, one that passes, one with a remark."""
    browser.set_window_size(1300, 900)
    names = {"a": "FAIL", "b": "PASS", "c": "WARN"}
    patches = [
        {
            **PATCH,
            "id": name,
            "commit": name * 40,
            "subject": EVIL,
            "files": [EVIL],
            "target": "t1" if name == "a" else "t2",
        }
        for name in names
    ]
    finding = {"status": "FAIL", "message": EVIL, "file": "x.c", "line": 2, "type": EVIL}
    covered = [
        {"file": "x.c", "first": 1, "last": 2, "by": "x86_64, allyesconfig: x.o"},
        {"file": "x.c", "first": 3, "last": 3, "by": ""},
    ]
    results = [
        {
            **RESULT,
            "patch": name,
            "commit": name * 40,
            "status": status,
            "reason": EVIL,
            "log": f"/log/{name}",
            "findings": [finding] if name == "a" else [],
            "covered": covered,
            "reproduce": EVIL,
        }
        for name, status in names.items()
    ]
    report = {"campaign": EVIL, "base": "b" * 40, "tip": "t" * 40, "results": results, "counts": {"FAIL": 1}}
    diffs = {name * 40: (EVIL, diff_of("x.c", "int a;", EVIL, "int c;")) for name in names}
    logs = {f"/log/{name}": f"the log of {name}\n{EVIL}" for name in names}
    file = tmp_path / "page.html"
    file.write_text(page(report, patches, KERNEL, diffs, logs))
    browser.get(file.as_uri())
    return browser


def seen(browser, css):
    return [element.is_displayed() for element in browser.find_elements(CSS, css)]


def test_nothing_of_a_patch_runs_and_the_console_is_silent(opened):
    for summary in opened.find_elements(CSS, "summary"):
        opened.execute_script("arguments[0].parentNode.open = true", summary)
    assert opened.execute_script("return window.ran") is None
    assert not opened.find_elements(CSS, "script, img, a[href^=javascript]")
    assert opened.get_log("browser") == []


def test_a_cell_opens_the_log_of_its_result(opened):
    assert seen(opened, "pre.log") == [True, False, False], "what failed is open"
    opened.find_elements(CSS, "a.cell")[1].click()
    assert seen(opened, "pre.log") == [True, True, False]
    assert "the log of b" in opened.find_elements(CSS, "pre.log")[1].text


def test_the_filters_show_some_of_the_patches(opened):
    assert seen(opened, ".patch") == [True, True, True]
    opened.find_element(CSS, "#show-bad").click()
    assert seen(opened, ".patch") == [True, False, False]
    opened.find_element(CSS, "#show-more").click()
    assert seen(opened, ".patch") == [True, False, True]
    opened.find_element(CSS, "#tree-2").click()
    assert seen(opened, ".patch") == [False, False, True]
    assert seen(opened, "h3") == [False, True]


def test_a_finding_stands_at_its_line_and_each_added_line_says_who_read_it(opened):
    lines = opened.find_elements(CSS, "#p1 .diff span")
    at = next(n for n, line in enumerate(lines) if line.get_attribute("data-n") == "2")
    assert lines[at + 1].text.startswith("FAIL build: ")
    kinds = {line.get_attribute("data-n"): line.get_attribute("class") for line in lines}
    assert (kinds["1"], kinds["3"]) == ("a read", "a unread")
    assert lines[at].get_attribute("title") == "x86_64, allyesconfig: x.o"
    green, red = (
        opened.find_element(CSS, f"#p1 .{name}").value_of_css_property("border-left-color")
        for name in ("read", "unread")
    )
    assert green != red


def test_the_keyboard_is_enough(opened):
    from selenium.webdriver.common.keys import Keys

    opened.find_element(CSS, "#show-all").send_keys(Keys.ARROW_RIGHT)
    assert seen(opened, ".patch") == [True, False, True]
    opened.find_element(CSS, "#show-more").send_keys(Keys.ARROW_LEFT)
    summary = opened.find_element(CSS, "#p2 > summary")
    summary.send_keys(Keys.ENTER)
    assert seen(opened, "#p2 .diff") == [True]
    opened.find_element(CSS, "#p3 a.cell").send_keys(Keys.ENTER)
    assert seen(opened, "#p3-1-log") == [True]


@pytest.mark.parametrize("width", [500, 800, 1300])
def test_no_width_makes_the_page_scroll_sideways(opened, width):
    opened.set_window_size(width, 900)
    assert (
        opened.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    )


def test_a_print_holds_what_is_closed_and_no_filter(opened):
    height = "return document.querySelector('#p2 .diff').getBoundingClientRect().height"
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    printed = opened.execute_script(height)
    filters = seen(opened, ".filter")
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert printed > 0
    assert set(filters) == {False}


def test_dark_and_light_differ_and_can_be_read(opened):
    look = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    themes = []
    for theme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        themes.append([shade(text) for text in opened.execute_script(look)])
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    (ink, paper), (dark_ink, dark_paper) = themes
    assert ink < 80 < 200 < paper
    assert dark_paper < 80 < 200 < dark_ink


def shade(text: str) -> float:
    """Return the mean of an rgb() text."""
    numbers = [int(part) for part in text.partition("(")[2].rstrip(")").split(",")[:3]]
    return sum(numbers) / 3
