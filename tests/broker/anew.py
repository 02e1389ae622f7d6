"""A topic that is deleted and made again under its name."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code


async def make_anew(bootstrap: str, topic: NewTopic) -> None:
    """Return when the new one is there; records of the old one are gone."""
    await delete(bootstrap, topic.name)
    await make(bootstrap, topic)


async def delete(bootstrap: str, name: str) -> None:
    """Delete a topic with its records."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([name])
    finally:
        await admin.close()


async def make(bootstrap: str, topic: NewTopic) -> None:
    """Make a topic again that was deleted just now."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        async with asyncio.timeout(20):
            # The name is free a little later.
            while await _refused(admin, topic):  # noqa: ASYNC110 - the broker has no event
                await asyncio.sleep(0.02)
    finally:
        await admin.close()


async def _refused(admin: AIOKafkaAdminClient, topic: NewTopic) -> bool:
    response = await admin.create_topics([topic])
    [(_, code, *_)] = response.topic_errors
    if code == 0:
        return False
    assert for_code(code).__name__ == "TopicAlreadyExistsError"
    return True
