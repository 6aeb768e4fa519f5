"""The beginning of what was asked and answered, as lists of traces show it."""

import json
from typing import Any, Final

_LONGEST: Final = 1000


def preview(text: str, role: str) -> str:
    """Give the beginning of an input or an output; of a chat what was said last.

    Args:
        text: JSON, or any text.
        role: Whose words are wanted: "user" or "assistant".
    """
    try:
        said = _said(json.loads(text), role)
    except (ValueError, RecursionError):
        said = ""
    shown = said or text
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."


def _said(value: Any, role: str) -> str:
    messages = _messages(value)
    if not messages:
        return ""
    spoken = [message for message in messages if message.get("role") == role]
    content = (spoken or messages)[-1].get("content")
    if isinstance(content, str):
        return content
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            return part
        if isinstance(part, dict) and part.get("type") in ("text", "output_text"):
            return str(part.get("text") or "")
    return ""


def _messages(value: Any) -> list[dict[str, Any]]:
    """Give the messages of a chat in one of the shapes that APIs of language models have."""
    if not isinstance(value, dict):
        return []
    for key in ("messages", "choices", "input", "output"):
        found = value.get(key)
        if isinstance(found, list) and found:
            first = found[0]
            items = [first.get("message")] if key == "choices" and isinstance(first, dict) else found
            return [item for item in items if isinstance(item, dict) and {"role", "content"} <= item.keys()]
    return _messages(value["request"]) if "request" in value else []
