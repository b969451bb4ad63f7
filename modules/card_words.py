"""Words of a fare model's card: what it is for, and what not."""

from __future__ import annotations

CARD_WORDS = {
    "name": "Fare model of {city}",
    "overview": "Estimates the fare of a taxi trip in {city}{unit}, before it begins.",
    "users": "People who build apps, meters and pages for taxis in {city}, and their passengers.",
    "use": "An estimate of the fare, and its range, before a trip: on the device, without a network.",
    "out_of_scope": "a binding price, tips, deliveries, and decisions about a person.",
    "label": "fare",
    "labels": "fares",
    "people": "passengers and drivers",
}
