"""What every error has in common."""

from dataclasses import asdict
from typing import Any, ClassVar


class ReliveError(Exception):
    """Base of every error that relive raises on purpose."""

    code: ClassVar[str] = "error"

    def what(self) -> str:
        """Say what happened, in one sentence."""
        raise NotImplementedError(f"{type(self).__name__} has no sentence")

    def expected(self) -> str | None:
        """Say what was expected instead, where that helps."""
        return None

    def to_do(self) -> str | None:
        """Say what the reader can do about it, as a command where there is one."""
        return None

    def facts(self) -> dict[str, Any]:
        """Give the fields of this error, for `--json`, HTTP and logs."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]  # every subclass is a dataclass

    def __str__(self) -> str:
        lines = [self.what()]
        if expected := self.expected():
            lines.append(f"  expected: {expected}")
        if to_do := self.to_do():
            lines.append(f"  try:      {to_do}")
        return "\n".join(lines)
