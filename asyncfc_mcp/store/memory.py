"""The store that forgets everything when the process ends."""

from __future__ import annotations

from asyncfc_mcp.store.base import StoredFuture


class MemoryStore:
    """A `FutureStore` in a dictionary."""

    def __init__(self) -> None:
        self._rows: dict[str, StoredFuture] = {}
        self._by_token: dict[tuple[str, str], str] = {}

    async def put(self, row: StoredFuture) -> None:
        """Keep a future."""
        self._rows[row.future] = row
        newest = self._rows.get(self._by_token.get((row.principal, row.token), ""))
        if newest is None or newest.created_at <= row.created_at:
            self._by_token[row.principal, row.token] = row.future

    async def get(self, future: str) -> StoredFuture | None:
        """The future, or None."""
        return self._rows.get(future)

    async def find(self, principal: str, token: str) -> StoredFuture | None:
        """The newest future of that principal under that token, or None."""
        return self._rows.get(self._by_token.get((principal, token), ""))

    async def delete(self, future: str) -> None:
        """Forget a future."""
        row = self._rows.pop(future, None)
        if row is not None and self._by_token.get((row.principal, row.token)) == future:
            del self._by_token[row.principal, row.token]

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
