"""Users and tokens."""

from typing import Final

from sqlalchemy import delete, or_, select, update

from relive.core.access import LAST_USE_S, Token, User
from relive.errors import Conflict
from relive.stores.sql.part import StorePart
from relive.stores.sql.rows import Kept
from relive.stores.sql.tables.hub import tokens, users

_USERS: Final = Kept(User, users, "user")
_TOKENS: Final = Kept(Token, tokens, "token")


class SqlAccounts(StorePart):
    """See `ports.stores.AccountStore`."""

    def create_user(self, user: User) -> User:
        """Create a user, or raise `Conflict` if the name is taken."""
        with self._db.write() as connection:
            at = user.created_at or self._db.moment()
            created = _USERS.insert_unless(connection, self._db.insert(users), ["name"], user, created_at=at)
        if created is None:
            raise Conflict(subject=f"user {user.name!r}", reason="the name is taken")
        return created

    def find_user(self, name: str) -> User | None:
        with self._db.read() as connection:
            return _USERS.find(connection, users.c.name == name)

    def list_users(self) -> list[User]:
        with self._db.read() as connection:
            return _USERS.all(connection, _USERS.select().order_by(users.c.name))

    def create_token(self, token: Token, secret_sha256: str) -> Token:
        with self._db.write() as connection:
            at = token.created_at or self._db.moment()
            return _TOKENS.insert(connection, token, secret_sha256=secret_sha256, created_at=at)

    def find_token(self, token_id: str) -> tuple[Token, str] | None:
        query = select(*_TOKENS.columns, tokens.c.secret_sha256).where(tokens.c.id == token_id)
        with self._db.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (_TOKENS.read(row[:-1]), row.secret_sha256)

    def list_tokens(self, subject: str | None = None) -> list[Token]:
        query = _TOKENS.select().order_by(tokens.c.created_at, tokens.c.id)
        if subject is not None:
            query = query.where(tokens.c.subject == subject)
        with self._db.read() as connection:
            return _TOKENS.all(connection, query)

    def touch_token(self, token_id: str) -> None:
        """Note that a token was used; to the minute, so that not every request writes."""
        now = self._db.moment()
        used = tokens.c.last_used_at
        stale = or_(used.is_(None), used < now - LAST_USE_S, used > now)
        with self._db.read() as connection:
            due = connection.execute(select(tokens.c.id).where(tokens.c.id == token_id, stale)).first()
        if due is not None:
            with self._db.write() as connection:
                connection.execute(update(tokens).where(tokens.c.id == token_id).values(last_used_at=now))

    def revoke_token(self, token_id: str) -> bool:
        with self._db.write() as connection:
            return connection.execute(delete(tokens).where(tokens.c.id == token_id)).rowcount == 1
