r"""A filter as tokens, cut as MLflow cuts it.

Text in quotes is taken as it stands between them: `''` and `\'` do not end it, and are not changed either.
A name may be quoted in parts: params.`learning rate`, metrics."a.b", "run name".
"""

import re
from typing import Final

import msgspec

_QUOTED: Final = r'`(?:``|[^`])*`|"(?:""|\\"|[^"])*"'
_TEXT: Final = r"'(?:''|\\'|[^'])*'"
# Behind a dot more is taken than MLflow takes without quotes: metrics.system/cpu-0.
_PART: Final = rf"(?:[\w/:@-]+|{_QUOTED}|{_TEXT})"
_TOKEN: Final = re.compile(
    rf"""\s*(?:
      (?P<name>(?:[^\W\d]\w*|{_QUOTED})(?:\.{_PART})*)
    | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<text>{_TEXT})
    | (?P<operator>[<>=!~]+)
    | (?P<open>\()
    | (?P<close>\))
    | (?P<comma>,)
    | (?P<end>\Z) )""",
    re.VERBOSE,
)
_WRONG: Final = re.compile(r"\s*(\S+)")


class Token(msgspec.Struct, frozen=True):
    """One token.

    Attributes:
        kind: name, number, text, operator, open, close, comma, end; wrong for what is none of these.
        text: As it stands in the filter.
        at: Where it begins, counted from 0.
    """

    kind: str
    text: str
    at: int

    @property
    def word(self) -> str:
        """Give a name in capitals, to be compared with the language's own words."""
        return self.text.upper() if self.kind == "name" else ""

    @property
    def quoted(self) -> str | None:
        """Give what stands between quotes of text; None if this is no quoted text."""
        quote = self.text[:1]
        is_whole = len(self.text) >= 2 and quote in ("'", '"') and self.text.endswith(quote)
        return self.text[1:-1] if is_whole else None


def tokens_of(text: str) -> list[Token]:
    """Cut a filter into tokens; the last is its end, or the first that cannot be read."""
    tokens: list[Token] = []
    at = 0
    while not tokens or tokens[-1].kind not in ("end", "wrong"):
        match = _TOKEN.match(text, at) or _WRONG.match(text, at)
        assert match is not None  # what does not end has something that is no space
        kind = match.lastgroup or "wrong"
        tokens.append(Token(kind, match[match.lastindex or 0], match.start(match.lastindex or 0)))
        at = match.end()
    return tokens
