"""The keys in Redis, in one place; for readers they are described in `docs/redis.md`.

Every component is percent-encoded (`outputs.escaped`), so `:` only parts them.
"""

from typing import Final

from msgspec import Struct

from cc_stream.leaderboard import Leaderboard, Standing
from cc_stream.outputs import escaped
from cc_stream.view import View

EVERYTHING: Final = "*"
"""In a change notice in place of keys: a shard has rewritten all that it owns."""

SHARD_INDEX: Final = "shard"
TENANT_INDEX: Final = "tenant"
BOARD_INDEX: Final = "leaderboard"


class BoardKeys(Struct, frozen=True):
    """Where a leaderboard lies."""

    scores: str
    """Sorted set: member (`member`) → score; only who is ranked."""
    rows: str
    """Hash: member → standing as JSON; also who is not ranked yet."""
    part: str
    """Hash: `order`, `head` (JSON), `members` (JSON list) of what one shard wrote."""


class Keys(Struct, frozen=True):
    """The keys of one installation, which all start with `prefix`."""

    prefix: str = "cc"

    @property
    def marker(self) -> str:
        """A text: random, and another one after the store has lost what it had."""
        return f"{self.prefix}:marker"

    def shard(self, shard: int) -> str:
        """Hash: how a board shard stands."""
        return f"{self.prefix}:shard:{shard}"

    def global_index(self, of: str) -> str:
        """Sorted set: keys of shards, or tenants, by the moment (ms) at which they expire."""
        return f"{self.prefix}:index:{of}"

    def index(self, tenant: str, of: str) -> str:
        """Sorted set: keys of views of a kind, or of parts of boards, by expiry (ms)."""
        return f"{self.tenant(tenant)}:index:{of}"

    def tenant(self, tenant: str) -> str:
        """The first two components of all keys of a tenant."""
        return f"{self.prefix}:{escaped(tenant)}"

    def view(self, view: View) -> str:
        """Hash: figures of one entity over one window, or live."""
        entity = view.entity
        names = [entity.kind]
        if entity.kind == "agent":
            names.append(escaped(entity.team or ""))
        names.append(escaped(entity.id) if view.part is None else str(view.part))
        return ":".join((self.tenant(entity.tenant), *names, view.window))

    def board(self, board: Leaderboard) -> BoardKeys:
        """The keys of a leaderboard; the shards of a floor share the first two."""
        names = (board.scope, escaped(board.scope_id), escaped(board.name), board.window)
        return self.board_parts(
            ":".join((self.tenant(board.tenant), "leaderboard", *names)), board.part
        )

    @staticmethod
    def board_parts(scores: str, part: int | None) -> BoardKeys:
        """The keys of a leaderboard from the first one."""
        return BoardKeys(
            scores, f"{scores}:rows", f"{scores}:part:{'all' if part is None else part}"
        )

    def alerts(self, tenant: str) -> str:
        """Hash: active alerts, `queue:rule` → JSON."""
        return f"{self.tenant(tenant)}:alerts"

    def alerts_part(self, tenant: str, shard: int) -> str:
        """Hash: `order` and `members` of what one shard wrote into the alerts."""
        return f"{self.alerts(tenant)}:part:{shard}"

    def changes(self, tenant: str) -> str:
        """Channel: JSON lists of changed keys."""
        return f"{self.tenant(tenant)}:changes"


def member(row: Standing) -> str:
    """A member of a leaderboard: `agent@team`, each percent-encoded."""
    return f"{escaped(row.agent)}@{escaped(row.team)}"


def alert_field(queue: str, rule: str) -> str:
    """A field of the alerts: there is at most one for a queue and rule."""
    return f"{escaped(queue)}:{escaped(rule)}"
