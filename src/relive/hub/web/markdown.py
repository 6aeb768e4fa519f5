"""Notes as people write them, in Markdown, as a page may show them.

What stands there is a stranger's: tags of HTML are text, pictures are links (a page loads nothing from
elsewhere), and links lead only where a browser may go. Headings follow those of the page.
"""

from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_LONGEST = 100_000
# The section that holds a note has the second level.
_ABOVE, _DEEPEST = 2, 6


def render(text: str) -> Markup:
    """Give a text in Markdown as HTML that can do nothing."""
    reader = _reader()
    tokens = reader.parse(text[:_LONGEST])
    _follow_headings(tokens)
    for token in tokens:
        # The policy of our pages takes no style: columns are aligned as all tables are.
        token.attrs.pop("style", None)
        for inner in token.children or ():
            if inner.type == "link_open":
                inner.attrs["rel"] = "noopener nofollow"
    # Everything the reader gives out is escaped by it.
    return Markup(reader.renderer.render(tokens, reader.options, {}))  # noqa: S704


def first_line(text: str) -> str:
    """Give the first line that says something, without its marks."""
    lines = (line.strip().lstrip("#>*-+ ").strip() for line in text.splitlines())
    return next((line for line in lines if line), "")


@cache
def _reader() -> "MarkdownIt":
    """Make the reader with the first note."""
    from markdown_it import MarkdownIt

    return MarkdownIt("js-default", {"html": False, "linkify": False}).disable("image")


def _follow_headings(tokens: "list[Token]") -> None:
    """Put headings below the page's, and leave no level out, as readers of the page expect."""
    level = _ABOVE
    for token in tokens:
        if token.type == "heading_open":
            level = min(int(token.tag[1]) + _ABOVE, level + 1, _DEEPEST)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{level}"
