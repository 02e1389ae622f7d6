"""Sources: what a vendor sends becomes canonical events. A new source is one line here."""

from typing import Final

from cc_stream.sources.asterisk_queue_log import ASTERISK_QUEUE_LOG
from cc_stream.sources.source import AnySource

SOURCES: Final[tuple[AnySource, ...]] = (ASTERISK_QUEUE_LOG,)
