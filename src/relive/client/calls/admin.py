"""The calls about projects, pools, tokens, keys, events and the hub itself."""

from collections.abc import Iterator
from typing import Any

import msgspec

from relive.client.calls.base import Calls
from relive.client.transport import path_of
from relive.core.access import Token
from relive.core.event import Event
from relive.core.job import Job, Pool
from relive.core.selection import Selection
from relive.core.webhook import Webhook, WebhookDelivery
from relive.wire.housekeeping import Collect, GcLine
from relive.wire.hub import (
    AskSql,
    CreatedToken,
    CreatePool,
    CreateProject,
    CreateToken,
    Follow,
    HubInfo,
    LoginLink,
    ProjectDetail,
)
from relive.wire.runs import ReplaySchedule


class AdminCalls(Calls):
    """Calls about what everything else stands on."""

    def get_info(self) -> HubInfo:
        """Ask what the hub is."""
        return self.transport.get(path_of("info"), HubInfo)

    def list_projects(self) -> list[ProjectDetail]:
        """List projects."""
        return self.transport.get(path_of("projects"), list[ProjectDetail])

    def get_project(self, name: str) -> ProjectDetail:
        """Give a project."""
        return self.transport.get(path_of("projects", name), ProjectDetail)

    def create_project(self, name: str, *, default_branch: str = "main") -> ProjectDetail:
        """Create a project, or give the one of that name."""
        message = CreateProject(name=name, default_branch=default_branch)
        return self.transport.post(path_of("projects"), message, ProjectDetail, repeatable=True)

    def delete_project(self, name: str) -> None:
        """Delete a project in which nothing is."""
        self.transport.delete(path_of("projects", name))

    def get_replay_schedule(self, project: str) -> ReplaySchedule:
        """Give how often a project's champions are made again."""
        return self.transport.get(path_of("projects", project, "replays"), ReplaySchedule)

    def set_replay_schedule(self, project: str, schedule: ReplaySchedule) -> ReplaySchedule:
        """Set how often a project's champions are made again."""
        path = path_of("projects", project, "replays")
        return self.transport.post(path, schedule, ReplaySchedule, repeatable=True)

    def follow(self, project: str, message: Follow) -> None:
        """Let a project follow a repository of a code host."""
        self.transport.post(path_of("projects", project, "follow"), message, type(None), repeatable=True)

    def list_sql_tables(self) -> dict[str, tuple[str, ...]]:
        """Give the tables that may be asked in SQL, with their columns."""
        return self.transport.get(path_of("sql"), dict[str, tuple[str, ...]])

    def ask_sql(self, query: str, *, limit: int = 1000) -> Selection:
        """Answer one SELECT."""
        return self.transport.post(
            path_of("sql"), AskSql(query=query, limit=limit), Selection, repeatable=True
        )

    def list_pools(self) -> list[Pool]:
        """List pools."""
        return self.transport.get(path_of("pools"), list[Pool])

    def create_pool(self, name: str, executor: str, config: dict[str, Any], *, slots: int) -> Pool:
        """Add compute under a name."""
        message = CreatePool(name=name, executor=executor, config=config, slots=slots)
        return self.transport.post(path_of("pools"), message, Pool)

    def delete_pool(self, name: str) -> None:
        """Take a pool away."""
        self.transport.delete(path_of("pools", name))

    def list_jobs(self, *, limit: int = 100) -> list[Job]:
        """List jobs."""
        return self.transport.get(path_of("jobs"), list[Job], {"limit": limit})

    def list_events(
        self,
        *,
        after: int = 0,
        project: str = "",
        kind: str = "",
        newest_first: bool = False,
        limit: int = 100,
    ) -> list[Event]:
        """List what happened."""
        query = {
            "after": after,
            "project": project or None,
            "kind": kind or None,
            "newest_first": "true" if newest_first else None,
            "limit": limit,
        }
        return self.transport.get(path_of("events"), list[Event], query)

    def list_webhooks(self, *, limit: int = 100) -> list[Webhook]:
        """List webhooks of the registry, newest first."""
        return self.transport.get(path_of("webhooks"), list[Webhook], {"limit": limit})

    def list_deliveries(
        self, *, webhook: str = "", failed: bool = False, limit: int = 100
    ) -> list[WebhookDelivery]:
        """List what webhooks were told, newest first."""
        query = {"webhook": webhook or None, "failed": "true" if failed else None, "limit": limit}
        return self.transport.get(path_of("webhooks", "deliveries"), list[WebhookDelivery], query)

    def list_keys(self) -> list[dict[str, Any]]:
        """List the public keys that statements are verified with."""
        return self.transport.get(path_of("keys"), list[dict[str, Any]])

    def rotate_key(self) -> dict[str, Any]:
        """Have the hub make a new signing key; the old ones still verify."""
        return self.transport.post(path_of("keys", "rotate"), None, dict[str, Any])

    def list_tokens(self) -> list[Token]:
        """List tokens."""
        return self.transport.get(path_of("tokens"), list[Token])

    def create_token(self, message: CreateToken) -> str:
        """Make a token, and give its text."""
        return self.transport.post(path_of("tokens"), message, CreatedToken).token

    def revoke_token(self, token_id: str) -> None:
        """End a token."""
        self.transport.delete(path_of("tokens", token_id))

    def collect_garbage(self, *, dry_run: bool = False) -> Iterator[GcLine]:
        """Have the hub delete what nothing refers to; gives progress, and the report at the end.

        Raises:
            HubRefused: Another collection is under way, or the caller is no admin.
        """
        body = msgspec.json.encode(Collect(dry_run=dry_run))
        headers = {"Content-Type": "application/json"}
        waiting = b""
        with self.transport.open("POST", path_of("gc"), body, headers) as response:
            for piece in response.stream(decode_content=False):
                *lines, waiting = (waiting + piece).split(b"\n")
                for line in lines:
                    yield msgspec.json.decode(line, type=GcLine)

    def create_login_link(self) -> str:
        """Get a one-time address that gives a browser a session."""
        return self.transport.post(path_of("login-link"), None, LoginLink).url
