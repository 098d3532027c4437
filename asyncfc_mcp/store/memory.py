"""The store that forgets everything when the process ends."""

from __future__ import annotations

import secrets
from bisect import insort
from collections.abc import Sequence
from dataclasses import replace

from asyncfc_mcp.store.base import StoredFuture


class MemoryStore:
    """A `FutureStore` in a dictionary."""

    def __init__(self) -> None:
        self.owner = secrets.token_hex(8)
        self.outlives = False
        self.faults = 0
        self._rows: dict[str, StoredFuture] = {}
        self._by_token: dict[tuple[str, str], list[str]] = {}
        """Their identities, oldest first; names are used again, so there may be several."""
        self._by_key: dict[tuple[str, str], list[str]] = {}

    async def open(self) -> None:
        """Nothing to get ready."""

    async def put(self, row: StoredFuture) -> None:
        """Keep a future."""
        await self.delete(row.future)
        self._rows[row.future] = row
        for bearers in self._bearers(row):
            insort(bearers, row.future, key=lambda future: self._rows[future].created_at)

    async def mark_told(self, futures: Sequence[str]) -> None:
        """Note that the client has seen how they settled."""
        for future in futures:
            if future in self._rows:
                self._rows[future] = replace(self._rows[future], is_told=True)

    async def get(self, future: str) -> StoredFuture | None:
        """The future, or None."""
        return self._rows.get(future)

    async def find(self, principal: str, token: str, scope: str = "") -> StoredFuture | None:
        """The newest future of that principal under that token, of that scope if there is one; or None."""
        bearers = self._by_token.get((principal, token), [])
        return self._newest([one for one in bearers if self._rows[one].scope == scope] or bearers)

    async def find_keyed(self, principal: str, key: str) -> StoredFuture | None:
        """The newest future of that principal under that key, or None."""
        return self._newest(self._by_key.get((principal, key)))

    async def adopt(self) -> Sequence[StoredFuture]:
        """Nothing: what an earlier process kept here ended with it."""
        return ()

    async def delete(self, future: str) -> None:
        """Forget a future."""
        row = self._rows.get(future)
        if row is None:
            return
        for bearers in self._bearers(row):
            bearers.remove(future)
        if not self._by_token[row.principal, row.token]:
            del self._by_token[row.principal, row.token]
        if row.key is not None and not self._by_key[row.principal, row.key]:
            del self._by_key[row.principal, row.key]
        del self._rows[future]

    async def delete_expired(self, now: float) -> int:
        """Forget every future whose time is over."""
        expired = [row.future for row in self._rows.values() if row.expires_at is not None and row.expires_at <= now]
        for future in expired:
            await self.delete(future)
        return len(expired)

    async def count(self) -> int:
        """How many futures are kept."""
        return len(self._rows)

    async def close(self) -> None:
        """Drop everything."""
        self._rows.clear()
        self._by_token.clear()
        self._by_key.clear()

    def _bearers(self, row: StoredFuture) -> list[list[str]]:
        """The lists that the row stands in."""
        found = [self._by_token.setdefault((row.principal, row.token), [])]
        if row.key is not None:
            found.append(self._by_key.setdefault((row.principal, row.key), []))
        return found

    def _newest(self, bearers: list[str] | None) -> StoredFuture | None:
        return self._rows[bearers[-1]] if bearers else None
