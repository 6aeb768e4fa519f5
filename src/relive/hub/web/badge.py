"""The badge of a model for a README: whether its champion could be made again, as a small picture."""

from html import escape
from typing import Final

from relive.errors import AccessDenied, SecretUnreadable
from relive.hub.web.marks import Mark
from relive.services.context import Services

_COLOURS: Final = {
    "good": "#2e7d32",
    "bad": "#b3261e",
    "warn": "#8a5a00",
    "busy": "#1a5fb4",
    "quiet": "#5f6368",
}
_LABEL: Final = "replay"
_LETTER_PX: Final = 6.6
_PADDING_PX: Final = 6.0


def draw(mark: Mark) -> str:
    """Draw a badge as SVG; its words can be read aloud, and tell without colour."""
    said = f"{mark.glyph} {mark.word}"
    left, right = _width(_LABEL), _width(said)
    width, title = left + right, escape(f"{_LABEL}: {mark.word}", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="20" role="img" '
        f'aria-label="{title}"><title>{title}</title>'
        f'<rect width="{width:g}" height="20" rx="3" fill="#3c4043"/>'
        f'<path d="M{left:g} 0h{right - 3:g}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{right - 3:g}z" '
        f'fill="{_COLOURS[mark.tone]}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14">{_LABEL}</text>'
        f'<text x="{left + right / 2:g}" y="14">{escape(said)}</text></g></svg>\n'
    )


def address(services: Services, model: str) -> str:
    """Give the address of a model's badge with the right to see it: a README's readers have no login here."""
    key = services.vault.seal(_right_to(model))
    return f"{services.place.public_url}/api/v1/models/{model}/badge.svg?key={key}"


def require_key(services: Services, model: str, key: str) -> None:
    """Do nothing if a key is one for this model's badge.

    Raises:
        AccessDenied: It is not, or the hub's secret has changed since.
    """
    try:
        is_right = services.vault.open(key) == _right_to(model)
    except SecretUnreadable:
        is_right = False
    if not is_right:
        raise AccessDenied(
            action=f"see the badge of {model}", who="this key", needs="the address on the model's page"
        )


def _right_to(model: str) -> bytes:
    return f"badge of {model}".encode()


def _width(text: str) -> float:
    return round(len(text) * _LETTER_PX + 2 * _PADDING_PX)
