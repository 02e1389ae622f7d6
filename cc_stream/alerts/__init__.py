"""Alert rules on queues: one file each, one line each (METRICS section 8)."""

from typing import Final

from cc_stream.alerts import longest_wait, service_level_live, waiting_now
from cc_stream.alerts.rule import ALERT_WINDOW, AlertLevels, Rule, levels_of

RULES: Final[tuple[Rule, ...]] = (waiting_now.RULE, longest_wait.RULE, service_level_live.RULE)

__all__ = ["ALERT_WINDOW", "RULES", "AlertLevels", "Rule", "levels_of"]
