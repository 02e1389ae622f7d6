"""The floor: events of one partition become changes of contributions.

`Calls` keeps contacts, `Agents` keeps timelines: both admit in offset order, put what changed into
deltas, and write the touched logs to their changelog. `Copy` spreads reference data.
"""

from streams.floor.agents import Agents
from streams.floor.calls import Calls
from streams.floor.copy import Copy
from streams.floor.intake import FloorCounts, Plan

__all__ = ["Agents", "Calls", "Copy", "FloorCounts", "Plan"]
