"""The page is one file, and nothing that came from outside becomes part of it as markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from hypersdk.conformance.comparison import regressions
from hypersdk.conformance.history import entry, trend
from hypersdk.conformance.reports.html import html
from hypersdk.conformance.results import Run
from tests.conformance.strange import HOSTILE, case, example, made_run, result, samples

VOID = {"meta", "br", "rect", "line", "circle"}


class Page(HTMLParser):
    """Text and elements; notices what is not closed."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(content)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_shows_all_that_there_is() -> None:
    page = Page(html(example()))
    for words in (
        "1 of 6 cases failed",
        "lifecycle.starts",
        "left behind: disk <b>",
        "containers have no memory to keep",
        "snapshots.memory",
        "failing",
        "partial",
        "untested",
        "60 ms",
        "100 to 500 ms",
        "slower",
        "The same case everywhere",
        "Linux",
    ):
        assert words in page.text, words


def test_failures_come_before_everything_else() -> None:
    text = Page(html(example())).text
    assert text.index("left behind: disk <b>") < text.index("Capabilities, as far as")


def test_what_is_hostile_stays_text() -> None:
    hostile = made_run(
        result(HOSTILE, case(HOSTILE, reason=HOSTILE, trace=HOSTILE), problem=HOSTILE)
    )
    page = Page(html(hostile))
    assert "script" not in page.tags
    assert page.text.count("<script>alert('1')</script>") >= 4
    assert "<script" not in html(hostile)
    assert "\x1b" not in page.text
    page.text.encode()  # a lone surrogate could not be written


def test_nothing_is_fetched_and_nothing_runs() -> None:
    content = html(example())
    page = Page(content)
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not names & {"src", "srcset", "data", "action"}
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    assert not {"script", "link", "iframe", "img", "object", "embed"} & set(page.tags)
    assert "url(" not in content
    assert "@import" not in content
    assert re.search("default-src 'none'", content)


def test_links_lead_to_places_on_the_page() -> None:
    page = Page(html(example()))
    places = {value for name, value in page.attributes if name == "id"}
    links = {value[1:] for name, value in page.attributes if name == "href"}
    assert links <= places
    assert links


def test_charts_are_drawn_within_their_frame() -> None:
    run = made_run(result("mock", samples=samples("create", 0.0, 1e-9, 0.002, 500.0)))
    content = html(run)
    places = [float(x) for x in re.findall(r'(?:x1|x2|cx)="([-\d.]+)"', content)]
    assert places
    assert min(places) >= 0
    assert max(places) <= 320


def test_regressions_and_the_trend_are_shown() -> None:
    before = made_run(result("mock", case("a.b"), samples=samples("create", 0.10, 0.11)), id="A")
    now = made_run(result("mock", case("a.b"), samples=samples("create", 0.50, 0.55)), id="B")
    steps = trend([entry(before), entry(now)])
    text = Page(html(now, regressions=regressions(now, before), trend=steps)).text
    assert "Slower than the baseline" in text
    assert "+400 %" in text
    assert "Trend" in text


def test_a_run_of_nothing_is_not_green() -> None:
    def banner(run: Run) -> str:
        (kind,) = re.findall(r'class="verdict (\w+)"', html(run))
        return str(kind)

    assert banner(made_run(result("mock", problem="cannot be reached"))) == "bad"
    assert banner(made_run()) == "bad"
    assert banner(made_run(result("mock", case("a.b")))) == "good"
