"""Signs and codes of currencies, as sources write them beside a fare or into the name of its column."""

from __future__ import annotations

import re

# The longer sign first: `R$` is no `$`. None: several currencies have this sign.
SIGNS: dict[str, str | None] = {
    "R$": "BRL", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₽": "RUB", "₺": "TRY", "₩": "KRW",
    "₱": "PHP", "฿": "THB", "₫": "VND", "₴": "UAH", "₪": "ILS", "₦": "NGN", "zł": "PLN", "Kč": "CZK", "Ft": "HUF",
    "Rp.": "IDR", "Rp": "IDR", "Rs.": None, "Rs": None, "kr.": None, "kr": None,
}  # fmt: skip
# ISO 4217, without codes that are English words in the name of a column: ALL, CUP, GEL, MAD, PEN, TOP, TRY.
CODES = frozenset(
    {
        "AED", "ARS", "AUD", "BDT", "BGN", "BHD", "BOB", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CRC",
        "CZK", "DKK", "DOP", "DZD", "EGP", "EUR", "FJD", "GBP", "GHS", "GTQ", "HKD", "HRK", "HUF", "IDR",
        "ILS", "INR", "IQD", "ISK", "JMD", "JOD", "JPY", "KES", "KRW", "KWD", "KZT", "LBP", "LKR", "MXN",
        "MYR", "NGN", "NOK", "NPR", "NZD", "OMR", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RSD", "RUB",
        "SAR", "SEK", "SGD", "THB", "TND", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VND", "XAF",
        "XOF", "ZAR", "ZMW",
    }
)  # fmt: skip
MARKS = (*SIGNS, *sorted(CODES), "GEL", "MAD", "PEN", "TRY")
# A regular expression (RE2) of what may stand beside an amount.
BESIDE_AMOUNT = rf"(?:{'|'.join(map(re.escape, MARKS))})"
