"""Notes: Markdown that can do nothing to whoever reads it."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relive.hub.web.markdown import first_line, render

_TAGS = {"p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "em", "strong", "s", "code", "pre", "blockquote"}
_TAGS |= {"a", "hr", "br", "table", "thead", "tbody", "tr", "th", "td"}
_ATTRIBUTES = {"href", "title", "rel", "class", "start"}


class _Seen(HTMLParser):
    """Keeps what a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


@given(st.text(max_size=200))
@example("<script>alert(1)</script>")
@example("[x](javascript:alert(1)) <javascript:alert(1)> [y](vbscript:x) [z](data:text/html,x)")
@example('![i](http://elsewhere/x.png "t") <img src=x onerror=alert(1)>')
@example("|a|b|\n|:-|-:|\n|1|2|")
@example("[x]: javascript:alert(1)\n\n[x]\n\n`<b>` \"<a href='x'>\"")
@example('```" onclick=x\n```')
def test_nothing_but_text_and_links_comes_out(text):
    seen = _Seen()
    seen.feed(render(text))
    assert seen.tags <= _TAGS
    assert {name for name, _ in seen.attributes} <= _ATTRIBUTES
    for name, value in seen.attributes:
        if name == "href":
            assert not re.match(r"\s*(javascript|vbscript|file|data):", value or "", re.IGNORECASE)


def test_headings_follow_those_of_the_page():
    found = render("## deep\n\n# first\n\n### third\n\n#### fourth")
    assert re.findall(r"<h(\d)>", found) == ["3", "3", "4", "5"]
    assert re.findall(r"</h(\d)>", found) == ["3", "3", "4", "5"]


def test_what_people_write_is_set():
    found = render("**bold** and `code`\n\n- one\n- [two](https://example.org)\n\n|a|\n|-:|\n|1|")
    assert "<strong>bold</strong>" in found
    assert '<a href="https://example.org" rel="noopener nofollow">two</a>' in found
    assert "<td>1</td>" in found


@pytest.mark.parametrize(
    ("text", "line"),
    [("", ""), ("\n\n# Best so far\nmore", "Best so far"), ("> - x", "x"), ("---\nyes", "yes")],
)
def test_the_first_line_stands_for_the_note(text, line):
    assert first_line(text) == line
