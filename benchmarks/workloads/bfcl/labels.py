"""What each method of the backends reads and writes, by part of its class; read off the source of version 2026.3.23.

A method is a read only if its source changes nothing that a later answer depends on, and if no call of the 200 programs
was seen to change any attribute. Names deceive: `get_current_speed` and `get_outside_temperature_from_google` draw from
the random generator, so each changes what the next one gives. `contact_customer_support` changes nothing here, but what
it stands for does: it is a write. `get_flight_cost` fills a cache that its only reader fills anew: that is no state.
A method that is not listed reads and writes all of its class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a class that a method reads and writes."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


FREE = Parts()


def _parts(reads: str = "", writes: str = "") -> Parts:
    return Parts(tuple(reads.split()), tuple(writes.split()))


WHOLE = "."
"""In place of a part: all of the class."""

EVERYTHING = _parts(writes=WHOLE)
"""What an unlisted method touches."""

_READS_FILES: dict[str, Parts] = dict.fromkeys(
    ("pwd", "ls", "cat", "find", "wc", "sort", "grep", "du", "tail", "diff"), _parts(reads=WHOLE)
)
"""The other methods move the working directory or change files, and every path is relative to that directory."""

_STATELESS_VEHICLE = (
    "liter_to_gallon gallon_to_liter estimate_distance get_zipcode_based_on_city display_log find_nearest_tire_shop "
    "get_outside_temperature_from_weather_com"
)
_STATELESS_TRAVEL = (
    "list_all_airports get_nearest_airport_by_city compute_exchange_rate get_flight_cost get_budget_fiscal_year"
)

PARTS: Mapping[str, Mapping[str, Parts]] = {
    "GorillaFileSystem": _READS_FILES,
    "MathAPI": {},
    "MessageAPI": {
        "list_users": _parts("users"),
        "get_user_id": _parts("users"),
        "add_contact": _parts(writes="users"),
        "message_login": _parts("users", "session"),
        "message_get_login_status": _parts("session"),
        "send_message": _parts("session users", "inbox"),
        "delete_message": _parts("session", "inbox"),
        "view_messages_sent": _parts("session inbox"),
        "search_messages": _parts("session inbox"),
        "get_message_stats": _parts("session inbox"),
    },
    "TwitterAPI": {
        "authenticate_twitter": _parts(writes="session"),
        "posting_get_login_status": _parts("session"),
        "post_tweet": _parts("session", "posts"),
        "retweet": _parts("session", "posts"),
        "comment": _parts("session", "posts"),
        "mention": _parts(writes="posts"),
        "follow_user": _parts("session", "following"),
        "unfollow_user": _parts("session", "following"),
        "list_all_following": _parts("session following"),
        "get_tweet": _parts("posts"),
        "get_user_tweets": _parts("posts"),
        "search_tweets": _parts("posts"),
        "get_tweet_comments": _parts("posts"),
        "get_user_stats": _parts("posts following"),
    },
    "TicketAPI": {
        "ticket_login": _parts(writes="session"),
        "logout": _parts(writes="session"),
        "ticket_get_login_status": _parts("session"),
        "create_ticket": _parts("session", "tickets"),
        "get_ticket": _parts("tickets"),
        "close_ticket": _parts(writes="tickets"),
        "resolve_ticket": _parts(writes="tickets"),
        "edit_ticket": _parts(writes="tickets"),
        "get_user_tickets": _parts("session tickets"),
    },
    "TradingBot": {
        **dict.fromkeys(("get_current_time", "get_symbol_by_name", "get_available_stocks"), FREE),
        "get_stock_info": _parts("stocks"),
        "filter_stocks_by_price": _parts("stocks"),
        "notify_price_change": _parts("stocks"),
        "trading_login": _parts(writes="session"),
        "trading_logout": _parts(writes="session"),
        "trading_get_login_status": _parts("session"),
        "get_order_details": _parts("orders"),
        "get_order_history": _parts("session orders"),
        "cancel_order": _parts(writes="orders"),
        "place_order": _parts("session stocks account", "orders"),
        "get_account_info": _parts("session account"),
        "get_transaction_history": _parts("session account"),
        "fund_account": _parts("session", "account"),
        "withdraw_funds": _parts("session", "account"),
        "get_watchlist": _parts("session watchlist"),
        "add_to_watchlist": _parts("stocks", "watchlist"),
        "remove_stock_from_watchlist": _parts("session", "watchlist"),
    },
    "TravelAPI": {
        **dict.fromkeys(_STATELESS_TRAVEL.split(), FREE),
        "authenticate_travel": _parts(writes="session chance"),
        "travel_get_login_status": _parts("session"),
        "verify_traveler_information": _parts("session"),
        "set_budget_limit": _parts("session", "budget"),
        "register_credit_card": _parts("session", "cards chance"),
        "get_credit_card_balance": _parts("session cards"),
        "get_all_credit_cards": _parts("cards"),
        "book_flight": _parts("session budget", "cards bookings chance"),
        "cancel_booking": _parts("session", "cards bookings"),
        "retrieve_invoice": _parts("session bookings"),
        "get_booking_history": _parts("session bookings"),
        "purchase_insurance": _parts("session budget bookings", "cards chance"),
        "contact_customer_support": _parts("bookings", "support"),
    },
    "VehicleControlAPI": {
        **dict.fromkeys(_STATELESS_VEHICLE.split(), FREE),
        "startEngine": _parts("doors brake fuel battery", "engine"),
        "fillFuelTank": _parts(writes="fuel"),
        "estimate_drive_feasibility_by_mileage": _parts("fuel"),
        "lockDoors": _parts(writes="doors"),
        "adjustClimateControl": _parts(writes="climate"),
        "setHeadlights": _parts(writes="lights"),
        "displayCarStatus": _parts(WHOLE),
        "activateParkingBrake": _parts(writes="parking_brake"),
        "pressBrakePedal": _parts(writes="brake"),
        "releaseBrakePedal": _parts(writes="brake"),
        "setCruiseControl": _parts("engine", "cruise"),
        "set_navigation": _parts(writes="navigation"),
        "check_tire_pressure": _parts("tires"),
        "get_current_speed": _parts(writes="chance"),
        "get_outside_temperature_from_google": _parts(writes="chance"),
    },
}


def parts_of(class_name: str, method: str) -> Parts:
    """The parts that a method touches."""
    if class_name == "MathAPI":
        return FREE
    return PARTS[class_name].get(method, EVERYTHING)
