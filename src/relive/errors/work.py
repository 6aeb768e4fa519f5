"""What could not be run, rebuilt or reached."""

from dataclasses import dataclass
from typing import Any

from relive.errors.base import ReliveError
from relive.errors.inputs import NotFound


@dataclass(eq=False)
class EnvironmentFailed(ReliveError):
    """An environment could not be resolved or built."""

    code = "environment_failed"
    source: str
    reason: str
    hint: str | None = None

    def what(self) -> str:
        return f"The environment of {self.source} could not be built: {self.reason}"

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class CommandFailed(ReliveError):
    """A command did not end with 0."""

    code = "command_failed"
    command: str
    exit_code: int
    reason: str

    def what(self) -> str:
        return f"{self.command!r} failed: {self.reason} (exit code {self.exit_code})."


@dataclass(eq=False)
class GitFailed(ReliveError):
    """A git command could not do what was asked."""

    code = "git_failed"
    action: str
    reason: str
    hint: str | None = None

    def what(self) -> str:
        return f"git {self.action} failed: {self.reason}"

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class LaunchFailed(ReliveError):
    """An executor could not place a job."""

    code = "launch_failed"
    job: str
    executor: str
    reason: str
    hint: str | None = None

    def what(self) -> str:
        return f"Job {self.job} could not be started by the executor {self.executor!r}: {self.reason}"

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class PoolUnreachable(ReliveError):
    """A pool's cluster does not answer."""

    code = "pool_unreachable"
    pool: str
    reason: str
    hint: str | None = None

    def what(self) -> str:
        return f"The cluster at {self.pool} does not answer: {self.reason}."

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class PoolUnfit(ReliveError):
    """A pool's cluster answers, but jobs of this hub could not run there."""

    code = "pool_unfit"
    pool: str
    reason: str
    hint: str | None = None

    def what(self) -> str:
        return f"The cluster at {self.pool} cannot run jobs of this hub: {self.reason}."

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class CannotReplay(ReliveError):
    """A run whose recipe cannot be rebuilt here."""

    code = "cannot_replay"
    run: str
    missing: str
    hint: str | None = None

    def what(self) -> str:
        return f"Run {self.run} cannot be replayed: {self.missing}."

    def to_do(self) -> str | None:
        return self.hint


@dataclass(eq=False)
class HubUnreachable(ReliveError):
    """The hub does not answer."""

    code = "hub_unreachable"
    url: str
    reason: str

    def what(self) -> str:
        return f"The hub at {self.url} does not answer: {self.reason}."

    def to_do(self) -> str | None:
        return "relive up    (or: relive login URL, for a hub elsewhere)"


@dataclass(eq=False)
class NoHubToReplay(HubUnreachable):
    """The hub does not answer, which has code, data and wheels of what is to be made again."""

    code = "no_hub_to_replay"

    def to_do(self) -> str | None:
        return (
            "relive replay FILE    (an archive of `relive export RUN --self-contained` needs no hub; "
            "else: relive up)"
        )


@dataclass(eq=False)
class HubUnknown(NotFound):
    """No hub runs on this machine, and nobody logged in to one."""

    code = "hub_unknown"
    kind: str = "hub"
    name: str = "of this machine"

    def what(self) -> str:
        return "No hub is known on this machine."

    def to_do(self) -> str | None:
        return "relive up    (or: relive login URL, for a hub elsewhere)"


@dataclass(eq=False)
class HubRefused(ReliveError):
    """The hub answered with an error; its words are kept."""

    code = "hub_refused"
    status: int
    error_code: str
    message: str
    details: dict[str, Any]

    @property
    def is_passing(self) -> bool:
        """Tell whether it only said "later": nothing was done, and the same may be taken then."""
        return self.status in (429, 502, 503, 504)

    def what(self) -> str:
        return self.message


@dataclass(eq=False)
class ForgeRefused(ReliveError):
    """A code host did not take what was sent."""

    code = "forge_refused"
    forge: str
    status: int
    message: str

    def what(self) -> str:
        return f"{self.forge} refused it with status {self.status}: {self.message}"

    def to_do(self) -> str | None:
        return "check the token's permissions: relive project follow NAME URL --token …"


@dataclass(eq=False)
class ForgeUnreachable(ReliveError):
    """A code host does not answer."""

    code = "forge_unreachable"
    forge: str
    reason: str

    def what(self) -> str:
        return f"{self.forge} does not answer: {self.reason}."


@dataclass(eq=False)
class WebhookFailed(ReliveError):
    """A webhook's address did not take a message.

    Attributes:
        wait_s: How long it asked to be left alone; None if it did not say.
    """

    code = "webhook_failed"
    url: str
    reason: str
    wait_s: float | None = None

    def what(self) -> str:
        return f"{self.url} did not take the message: {self.reason}."

    def to_do(self) -> str | None:
        return "relive webhook deliveries --failed"


@dataclass(eq=False)
class PortTaken(ReliveError):
    """Another program listens where the hub wants to."""

    code = "port_taken"
    host: str
    port: int

    def what(self) -> str:
        return f"Another program listens on {self.host}:{self.port}."

    def to_do(self) -> str | None:
        return f"relive up --port {self.port + 1}"
