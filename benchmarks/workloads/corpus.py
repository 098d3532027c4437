"""A small corpus of well-known facts, for searches to find."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Article:
    """One subject with its best-known figure, and the subject that it leads to."""

    title: str
    kind: str
    measure: str
    figure: int
    leads_to: str
    """The title of another article, or of nothing that the corpus has."""

    @property
    def text(self) -> str:
        """What a reader sees."""
        measure = self.measure.replace("_", " ")
        return f"{self.title} is a {self.kind}. Its {measure} is about {self.figure}. See also: {self.leads_to}."


def _articles(kind: str, measure: str, rows: str) -> tuple[Article, ...]:
    found: list[Article] = []
    for row in rows.strip().splitlines():
        title, figure, leads_to = (part.strip() for part in row.split("|"))
        found.append(Article(title, kind, measure, int(figure), leads_to))
    return tuple(found)


RIVERS = _articles(
    "river",
    "length_km",
    """
    Nile | 6650 | Mediterranean Sea
    Danube | 2850 | Black Sea
    Dnieper | 2201 | Black Sea
    Volga | 3530 | Caspian Sea
    Ural | 2428 | Caspian Sea
    Rhine | 1230 | North Sea
    Elbe | 1094 | North Sea
    Po | 652 | Adriatic Sea
    Amazon | 6400 | Atlantic Ocean
    Mississippi | 3766 | Gulf of Mexico
    Yangtze | 6300 | East China Sea
    Mekong | 4350 | South China Sea
    Ganges | 2525 | Bay of Bengal
    Zambezi | 2574 | Indian Ocean
    """,
)
WATERS = _articles(
    "body of water",
    "greatest_depth_m",
    """
    Mediterranean Sea | 5267 | Atlantic Ocean
    Black Sea | 2212 | Mediterranean Sea
    Caspian Sea | 1025 | Volga
    North Sea | 700 | Atlantic Ocean
    Adriatic Sea | 1233 | Mediterranean Sea
    Atlantic Ocean | 8486 | Amazon
    Gulf of Mexico | 4384 | Atlantic Ocean
    East China Sea | 2716 | Yangtze
    South China Sea | 5016 | Mekong
    Bay of Bengal | 4694 | Indian Ocean
    Indian Ocean | 7290 | Zambezi
    """,
)
MOUNTAINS = _articles(
    "mountain",
    "height_m",
    """
    Mount Everest | 8849 | Himalayas
    K2 | 8611 | Karakoram
    Aconcagua | 6961 | Andes
    Denali | 6190 | Alaska Range
    Elbrus | 5642 | Caucasus
    Mont Blanc | 4806 | Alps
    Matterhorn | 4478 | Alps
    Triglav | 2864 | Alps
    """,
)
RANGES = _articles(
    "mountain range",
    "length_km",
    """
    Himalayas | 2400 | Mount Everest
    Karakoram | 500 | K2
    Andes | 8900 | Aconcagua
    Alaska Range | 650 | Denali
    Caucasus | 1200 | Elbrus
    Alps | 1200 | Mont Blanc
    """,
)
ARTICLES = (*RIVERS, *WATERS, *MOUNTAINS, *RANGES)
