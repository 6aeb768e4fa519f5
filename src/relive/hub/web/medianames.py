"""How what is to be looked at is named among a run's artifacts, by our own clients and by MLflow's."""

import re
from typing import Final

MEDIA: Final = "relive.media"
"""The artifact that our own clients keep media in, with an index; see docs/design/media.md."""

INDEX: Final = re.compile(r"^relive\.media/(?:.*/)?index-\d+\.jsonl$")
# images/KEY+step+STEP+timestamp+MILLISECONDS+ID.png; older clients wrote % for +.
PICTURE: Final = re.compile(
    r"images/(?P<key>[^/+%]+)[+%]step[+%](?P<step>-?\d{1,18})"
    r"[+%]timestamp[+%](?P<at>\d{1,18})[+%][^/+%]+\.png"
)


def is_picture(path: str) -> bool:
    """Tell whether MLflow's clients stored this as a picture of a step."""
    return PICTURE.fullmatch(path) is not None
