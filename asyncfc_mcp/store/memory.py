"""The store that forgets everything when the process ends."""

from __future__ import annotations

from bisect import insort

from asyncfc_mcp.store.base import StoredFuture


class MemoryStore:
    """A `FutureStore` in a dictionary."""

    def __init__(self) -> None:
        self._rows: dict[str, StoredFuture] = {}
        self._by_token: dict[tuple[str, str], list[str]] = {}
        """Their identities, oldest first; names are used again, so there may be several."""

    async def put(self, row: StoredFuture) -> None:
        """Keep a future."""
        await self.delete(row.future)
        self._rows[row.future] = row
        bearers = self._by_token.setdefault((row.principal, row.token), [])
        insort(bearers, row.future, key=lambda future: self._rows[future].created_at)

    async def get(self, future: str) -> StoredFuture | None:
        """The future, or None."""
        return self._rows.get(future)

    async def find(self, principal: str, token: str) -> StoredFuture | None:
        """The newest future of that principal under that token, or None."""
        bearers = self._by_token.get((principal, token))
        return self._rows[bearers[-1]] if bearers else None

    async def delete(self, future: str) -> None:
        """Forget a future."""
        row = self._rows.pop(future, None)
        if row is None:
            return
        bearers = self._by_token[row.principal, row.token]
        bearers.remove(future)
        if not bearers:
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
