"""Who works on the floor: names, teams, skills, and how good each one is."""

from random import Random
from typing import Final

from msgspec import Struct

from cc_stream.simulate.plan import QueuePlan, SimulationSettings, seeded

SHIFTS: Final = 3
"""People to a workplace: one for each third of the day."""
LENT: Final = 0.03
"""Share of the people who work for another team: their events name it themselves."""
FIRST_NAMES: Final = (
    "Ada", "Ben", "Chloe", "Deniz", "Elif", "Finn", "Greta", "Hugo", "Ines", "Jonas", "Kaja",
    "Lena", "Milan", "Nora", "Oskar", "Paula", "Quirin", "Rosa", "Samir", "Tilda", "Uwe", "Vera",
    "Wanda", "Xenia", "Yusuf", "Zoe", "Arne", "Bilal", "Carla", "Dario", "Edda",
)  # fmt: skip
LAST_NAMES: Final = (
    "Abel", "Brandt", "Celik", "Dietz", "Ernst", "Fuchs", "Graf", "Haas", "Ivanova", "Jansen",
    "Keller", "Lorenz", "Moser", "Nowak", "Otto", "Peters", "Quast", "Roth", "Sommer", "Thoma",
    "Ulrich", "Vogel", "Winter", "Yilmaz", "Zimmer", "Arnold", "Busch", "Conrad", "Demir",
)  # fmt: skip


class Person(Struct, frozen=True, gc=False):
    """One agent as on the roster, and the traits that the numbers should bring to light.

    `pace` multiplies talk and wrap times; `sells` is the chance (0…1) that an eligible contact
    buys; `lent_to` is the team that this agent's events name in place of the roster's.
    """

    id: str
    name: str
    team: str
    queues: tuple[int, ...]
    pace: float
    sells: float
    lent_to: str | None


def person_of(settings: SimulationSettings, seat: int, shift: int) -> Person:
    """The person who has a seat in a shift (0…2). The same for every start of the same floor."""
    number = shift * settings.seats + seat
    random = seeded(settings, f"person/{seat}/{shift}")
    teams = settings.teams
    team = teams[(seat + shift) % len(teams)]
    others = [each for each in teams if each != team]
    lent_to = random.choice(others) if others and random.random() < LENT else None
    first = FIRST_NAMES[number % len(FIRST_NAMES)]
    last = LAST_NAMES[(number * 7 + number // len(FIRST_NAMES)) % len(LAST_NAMES)]
    return Person(
        id=f"agent-{number + 1:04d}",
        name=f"{first} {last}",
        team=team,
        queues=_skills(settings.queues, (seat + 0.5) * 0.618_033_988_75 % 1.0, random),
        pace=min(1.25, max(0.75, random.gauss(1.0, 0.12))),
        sells=0.05 + 0.30 * random.betavariate(2.0, 2.5),
        lent_to=lent_to,
    )


def people_of(settings: SimulationSettings) -> list[Person]:
    """Everybody on the roster, first shift first."""
    return [
        person_of(settings, seat, shift)
        for shift in range(SHIFTS)
        for seat in range(settings.seats)
    ]


def _skills(queues: tuple[QueuePlan, ...], place: float, random: Random) -> tuple[int, ...]:
    """One to three queues. The first ones are spread by workload: small floors serve all."""
    work = [queue.share * (queue.talk_seconds + queue.wrap_seconds) for queue in queues]
    place *= sum(work)
    first = len(work) - 1
    for index, amount in enumerate(work):
        if place < amount:
            first = index
            break
        place -= amount
    others = [index for index in range(len(queues)) if index != first]
    more = min(len(others), random.choices((0, 1, 2), (0.2, 0.5, 0.3))[0])
    return (first, *random.sample(others, more))
