"""Any store against the plainest model of one, through whatever Hypothesis thinks of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import anyio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from asyncfc_mcp.core.future import Failure, FailureReason, FutureState
from asyncfc_mcp.store.base import FutureStore, StoredFuture
from tests.store.conftest import OpenStore
from tests.store.rows import row, same

FUTURES = st.sampled_from(["f1", "f2", "f3", "f4", "f5"])
TOKENS = st.sampled_from(["fut_a", "fut_b"])
PRINCIPALS = st.sampled_from(["alice", "bob"])
TIMES = st.integers(0, 20).map(float)


@dataclass
class Model:
    """A dictionary, and nothing clever."""

    rows: dict[str, StoredFuture] = field(default_factory=dict[str, StoredFuture])

    def put(self, kept: StoredFuture) -> None:
        self.rows[kept.future] = kept

    def find(self, principal: str, token: str) -> StoredFuture | None:
        found = [one for one in self.rows.values() if (one.principal, one.token) == (principal, token)]
        return max(found, key=lambda one: one.created_at, default=None)

    def find_keyed(self, principal: str, key: str) -> StoredFuture | None:
        found = [one for one in self.rows.values() if (one.principal, one.key) == (principal, key)]
        return max(found, key=lambda one: one.created_at, default=None)

    def mark_told(self, futures: list[str]) -> None:
        for future in futures:
            if future in self.rows:
                self.rows[future] = replace(self.rows[future], is_told=True)

    def delete_expired(self, now: float) -> int:
        due = [one.future for one in self.rows.values() if one.expires_at is not None and one.expires_at <= now]
        for future in due:
            del self.rows[future]
        return len(due)


@dataclass(frozen=True)
class Put:
    """Keep a row; the parts that belong to an identity for ever follow from it."""

    future: str
    state: FutureState
    expires_at: float | None
    failure: Failure | None
    text: str

    def row(self) -> StoredFuture:
        number = int(self.future[1:])
        return row(
            self.future,
            token="fut_a" if number % 2 else "fut_b",
            principal="alice" if number < 4 else "bob",
            created_at=float(number),
            state=self.state,
            expires_at=self.expires_at,
            failure=self.failure,
            key=f"k{1 + number % 2}" if number > 2 else None,
            result={"text": self.text},
        )


@dataclass(frozen=True)
class Delete:
    future: str


@dataclass(frozen=True)
class Tell:
    futures: list[str]


@dataclass(frozen=True)
class Expire:
    now: float


PUTS = st.builds(
    Put,
    FUTURES,
    st.sampled_from(FutureState),
    st.none() | TIMES,
    st.none() | st.builds(Failure, st.sampled_from(FailureReason), st.text(max_size=5), st.none() | TOKENS),
    st.text(st.characters(), max_size=10),
)
TELLS = st.builds(Tell, st.lists(FUTURES, max_size=3))
STEPS = st.lists(PUTS | TELLS | st.builds(Delete, FUTURES) | st.builds(Expire, TIMES), max_size=30)


TWO_OF_A_NAME_AND_THE_NEWER_DELETED = [
    Put("f1", FutureState.RESOLVED, None, None, ""),
    Put("f3", FutureState.RESOLVED, None, None, ""),
    Delete("f3"),
]


# The fixture only opens stores; each example gets one of its own.
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(steps=TWO_OF_A_NAME_AND_THE_NEWER_DELETED, principal="alice")
@given(steps=STEPS, principal=PRINCIPALS)
def test_a_store_does_what_a_dictionary_does(
    open_store: OpenStore, steps: list[Put | Tell | Delete | Expire], principal: str
) -> None:
    async def compare() -> None:
        model = Model()
        async with open_store() as store:
            for step in steps:
                await _take(step, store, model)
                await _assert_same(store, model, principal)

    anyio.run(compare)


async def _take(step: Put | Tell | Delete | Expire, store: FutureStore, model: Model) -> None:
    match step:
        case Put():
            model.put(step.row())
            await store.put(step.row())
        case Delete(future):
            model.rows.pop(future, None)
            await store.delete(future)
        case Tell(futures):
            model.mark_told(futures)
            await store.mark_told(futures)
        case Expire(now):
            assert await store.delete_expired(now) == model.delete_expired(now)


async def _assert_same(store: FutureStore, model: Model, principal: str) -> None:
    assert await store.count() == len(model.rows)
    for future in ("f1", "f2", "f3", "f4", "f5"):
        assert _agree(await store.get(future), model.rows.get(future))
    for token in ("fut_a", "fut_b"):
        assert _agree(await store.find(principal, token), model.find(principal, token))
    for key in ("k1", "k2"):
        assert _agree(await store.find_keyed(principal, key), model.find_keyed(principal, key))


def _agree(found: StoredFuture | None, expected: StoredFuture | None) -> bool:
    return found is None if expected is None else same(found, expected)
