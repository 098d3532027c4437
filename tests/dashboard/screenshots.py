"""Pictures of the dashboard over a lively program: `python -m tests.dashboard.screenshots docs/figures`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import anyio
from mcp_types import ElicitResult
from playwright.async_api import Browser

from tests.dashboard.support import TOKEN, Watched, chromium, travel, watched

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}
Scheme = Literal["light", "dark"]
PICTURES: tuple[tuple[str, Scheme, Any], ...] = (
    ("dashboard-light", "light", WIDE),
    ("dashboard-dark", "dark", WIDE),
    ("dashboard-small", "light", NARROW),
)
SPEED = 0.55
QUESTION = {
    "message": "Pay 560?",
    "requestedSchema": {"type": "object", "properties": {"agreed": {"type": "boolean"}}},
}


async def plan_a_trip(gateway: Watched, turn: str, city: str) -> None:
    """One turn of an assistant that plans a trip: searches side by side, bookings that need them, a note at the end."""

    async def call(tool: str, name: str, /, **arguments: Any) -> None:
        await gateway.call(tool, f"{name}_{turn}", **arguments)

    def value(name: str, path: str = "") -> str:
        return f"fut_{name}_{turn}{path}"

    await call("travel_search_flights", "flights", origin="Vienna", city=city)
    await call("travel_search_hotels", "hotels", city=city, nights=4)
    await call("travel_forecast", "weather", city=city)
    await call("desk_check_visa", "visa", country=city)
    await call("bookings_book_flight", "flight", offer_id=value("flights", "/items/0/id"), price=180)
    await call("bookings_book_hotel", "hotel", offer_id=value("hotels", "/items/0/id"), price=380)
    await call("notes_packing_list", "packing", low_c=value("weather", "/low_c"), rain_percent=70)
    await call("desk_translate", "translated", text=value("packing"))
    await call("bookings_itinerary", "itinerary")
    await call("notes_write_note", "note", name=city, parts=[value("itinerary"), value("translated")])


async def play(gateway: Watched) -> None:
    """Two turns with a pause in between; the second one is left in the middle, with a question open."""
    await plan_a_trip(gateway, "one", "Lisbon")
    await gateway.settled("note_one")
    await anyio.sleep(6)  # nobody is waited for: a person reads
    async with anyio.create_task_group() as tasks:
        ask = partial(gateway.call, "phone_ask", "answer", wait_s=25, method="elicitation/create", params=QUESTION)
        tasks.start_soon(ask)
        await plan_a_trip(gateway, "two", "Porto")
        await gateway.settled("weather_two", "hotels_two", "flights_two")
        await anyio.sleep(0.9)  # the picture is to have calls that run
        tasks.cancel_scope.cancel()


async def take_pictures(folder: Path) -> None:
    """Write every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        state = Path(temporary)
        async with (
            chromium() as browser,
            watched(
                travel(state, SPEED), state, token=TOKEN, client_options={"elicitation_callback": _think}
            ) as gateway,
        ):
            pages: list[Callable[[], Any]] = []
            for name, scheme, size in PICTURES:
                pages.append(await _opened(browser, gateway.address, scheme, size, folder / f"{name}.png"))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(play, gateway)
                await _until_lively(gateway)
                for shoot in pages:
                    await shoot()
                tasks.cancel_scope.cancel()


async def _until_lively(gateway: Watched) -> None:
    """Until the second turn is in its middle."""
    with anyio.fail_after(60):
        while True:
            spans = {span.token: span for span in gateway.app.gateway.timeline.spans()}
            flight = spans.get("fut_flight_two")
            if flight is not None and flight.started_s is not None:
                await anyio.sleep(0.35)
                return
            await anyio.sleep(0.05)


async def _opened(
    browser: Browser, address: str, scheme: Literal["light", "dark"], size: Any, file: Path
) -> Callable[[], Any]:
    context = await browser.new_context(color_scheme=scheme, viewport=size, device_scale_factor=2)
    page = await context.new_page()
    await page.goto(address)
    await page.wait_for_selector("#connection[data-state=live]")

    async def shoot() -> None:
        if scheme == "dark":
            await page.locator("[role=option]", has_text="book_flight").last.click()
            await page.mouse.move(0, 0)
        await page.screenshot(path=file, full_page=size is NARROW)

    return shoot


async def _think(_: Any, __: Any) -> ElicitResult:
    await anyio.sleep_forever()
    raise AssertionError


if __name__ == "__main__":
    anyio.run(take_pictures, Path(sys.argv[1]))
