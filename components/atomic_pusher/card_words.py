"""Words of a model card that depend on what the model is for; whoever pushes gives them."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class CardWords:
    """Texts of a card, in which {city} is the city and {unit} is ` in UNIT`, or nothing without a unit.

    By default they say nothing of the use. label, labels: what is predicted. people: whose privacy is at stake.
    """

    name: str = "Model of {city}"
    overview: str = "Predicts a number{unit} in {city}."
    users: str = "People who know what the model of {city} is for."
    use: str = "A prediction on the device, without a network."
    out_of_scope: str = "decisions about a person."
    label: str = "label"
    labels: str = "labels"
    people: str = "people in the data"

    def filled(self, city: str, unit: str) -> CardWords:
        """The words with the names in their places."""
        texts = dataclasses.asdict(self)
        return CardWords(**{name: text.format(city=city, unit=unit) for name, text in texts.items()})
