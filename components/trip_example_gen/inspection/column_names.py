"""Words in the names of a source's columns, and which end of a trip they mean."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

# Words in the names of columns, without accents, in English, French, German, Italian, Portuguese and Spanish.
WORDS = {
    "start": "pickup pick pu start started starting from origin orig src source begin began departure depart departed "
    "boarding inicio origem origen origine salida partida partenza partenze abfahrt debut startort",
    "end": "dropoff drop do end ended ending to dest destination destino destinazione dst target finish finished stop "
    "arrival arrive arrived arrivee alighting fim fin final llegada chegada ziel ankunft arrivo",
    "longitude": "lon long lng longitude longitud lons laenge lange x",
    "latitude": "lat latitude latitud lats breite y",
    "point": "point wkt geom geometry coordinates coords",
    "polyline": "polyline trajectory path route track linestring",
    "location": "location loc locationid zone zoneid area taz district borough neighborhood neighbourhood community "
    "tract cell bezirk barrio zona quartier station",
    "fare": "fare fares farebox fahrpreis tarifa tarif tariffa taxa bandeirada meter metered",
    "price": "price prices cost costs preis precio preco prix prezzo importe coste costo betrag montant kosten",
    "total": "total amount amt sum valor gesamt value totale paid payment",
    "extra": "tip tips toll tolls tax taxes surcharge surcharges extra extras additional charges fee fees mta "
    "improvement congestion discount type method card currency per pay driver airport vendor rate flag ehail "
    "trinkgeld propina pourboire bcf sales code id estimated",
    "passengers": "passenger passengers person persons people pax rider riders occupants seats passagiere fahrgaste "
    "personen pasajeros passageiros passagers passeggeri",
    "time": "time datetime timestamp moment at when zeit uhrzeit hora_fecha heure_date quando cuando orario",
    "date": "date day fecha data datum giorno",
    "hour": "hour hours hr hourofday hora stunde heure ora",
    "weekday": "weekday dow dayofweek dayname wochentag semana diasemana jour_semaine giorno_settimana dia",
    "other": "request requested accept accepted create created update updated scene book booked booking order ordered "
    "reservation entry inserted loaded",
    "distance": "distance miles mile km kms kilometers kilometres metres meters seconds minutes duration secs mins",
}
WEAK_ENDS = {"o": "start", "s": "start", "p": "start", "a": "start", "d": "end", "e": "end", "b": "end"}
GLUED = ("start", "end", "longitude", "latitude", "location", "fare", "price", "total", "passengers")
ENDS = {"start": "pickup", "end": "dropoff"}


@functools.cache
def _tags_of_words() -> dict[str, str]:
    return {word: tag for tag, words in WORDS.items() for word in words.split()}


@functools.cache
def tokens(name: str) -> tuple[str, ...]:
    """The words of a name, lower-case, without accents: `Trip_Pickup_DateTime` is trip, pickup, datetime."""
    text = unicodedata.normalize("NFKD", name.strip()).encode("ascii", "ignore").decode()
    text = re.sub(r"date[ _-]?time", " datetime ", text, flags=re.I)
    text = re.sub(r"^(PU|DO)(?=[A-Z][a-z]|[Ll]oc|_)", r"\1 ", text)
    text = re.sub(r"pick[ _-]?up", " pickup ", text, flags=re.I)
    text = re.sub(r"drop[ _-]?off", " dropoff ", text, flags=re.I)
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)", " ", text)
    parts = re.findall(r"[a-z]+|\d+", text.lower())
    return tuple(word for part in parts for word in _split(part))


def _split(word: str) -> tuple[str, ...]:
    """`pickuplon` is pickup and lon: known words that make up an unknown one, of which the last may be one letter."""
    known = _tags_of_words()
    if word in known:
        return (word,)
    for cut in range(len(word) - 1, 1, -1):
        first, rest = word[:cut], word[cut:]
        if known.get(first) in GLUED:
            tail = _split(rest)
            if all(each in known for each in tail) and (len(first) > 2 or len(rest) > 2):
                return (first, *tail)
    return (word,)


def tags(name: str) -> frozenset[str]:
    """The keys of `WORDS` that a name's words have."""
    known = _tags_of_words()
    return frozenset(known[word] for word in tokens(name) if word in known)


def by_end(names: Sequence[str]) -> dict[str, str]:
    """pickup and dropoff among columns of one kind: by words, by letters or numbers at the end, or by their order."""
    strong: dict[str, list[str]] = {"start": [], "end": []}
    for name in names:
        ends = tags(name) & {"start", "end"}
        if len(ends) == 1:
            strong[next(iter(ends))].append(name)
    if strong["start"] and strong["end"]:
        return {ENDS[end]: min(found, key=lambda name: len(tokens(name))) for end, found in strong.items()}
    weak: dict[str, str] = {}
    for name in names:
        words = tokens(name)
        for word in (words[-1], words[0]):
            if word in WEAK_ENDS:
                weak.setdefault(WEAK_ENDS[word], name)
                break
    glued = {name: re.match(r"^([opsadeb])_?l|.*([opadb])$", name.strip().lower()) for name in names}
    for name, letter in glued.items():
        if letter and (found := letter[1] or letter[2]):
            weak.setdefault(WEAK_ENDS[found], name)
    if len(set(weak.values())) == 2:
        return {ENDS[end]: name for end, name in weak.items()}
    if len(names) == 2:
        return dict(
            zip(ENDS.values(), sorted(names, key=_number_in) if all(map(_number_in, names)) else names, strict=True)
        )
    if len(strong["start"]) == 1 and len(names) == 1:
        return {"pickup": names[0]}
    return {}


def _number_in(name: str) -> str:
    numbers: list[str] = re.findall(r"\d+", name)
    return numbers[-1] if numbers else ""
