"""Reads what is live and what lies on the topics, and compares them: the proof behind the demo."""

import orjson

from cc_stream.admit import Limits
from cc_stream.report.compare import Comparison, compare
from cc_stream.report.oracle import Rules
from cc_stream.report.topic import Security, collect_topics, last_values
from cc_stream.sinks.reader import Reader
from cc_stream.topics import Topics


async def compare_live(
    reader: Reader,
    bootstrap: str,
    topics: Topics,
    limits: Limits,
    rules: Rules,
    *,
    security: Security = None,
) -> Comparison:
    """Hold all views, leaderboards and contact records against the report over the topics.

    Nothing may be on its way: every shard has shown one last tick, at the same moment.

    Raises:
        ReadError: a topic cannot be read to its end.
        SinkUnavailable: the views cannot be read.
    """
    tenants = await reader.tenants()
    views = [view for tenant in tenants for view in await reader.views(tenant)]
    boards = [board for tenant in tenants for board in await reader.leaderboards(tenant)]
    values = await last_values(bootstrap, topics.contacts.name, security)
    contacts = {key.decode(): orjson.loads(value) for key, value in values.items()}
    collected = await collect_topics(bootstrap, topics, limits, security)
    return compare(collected, views, contacts, boards, rules)
