"""Kafka's default placement of a key, so that a record in the wrong partition is found."""

from struct import unpack_from
from typing import Final

_SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition from 0 where Kafka's default partitioner puts `key`.

    The positive murmur2 hash modulo `partitions`, as in the Java client's
    `BuiltInPartitioner.partitionForKey` and aiokafka. librdkafka's default is another one.
    """
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """MurmurHash2 with Kafka's seed, as 32 bits unsigned (`org.apache.kafka...Utils.murmur2`)."""
    whole = len(data) & ~3
    value = _SEED ^ len(data)
    for part in unpack_from(f"<{whole // 4}I", data):
        word = (part * _MULTIPLIER) & _MASK
        # One mask for both products: what lies above 32 bits never comes down.
        value = ((value * _MULTIPLIER) ^ ((word ^ (word >> 24)) * _MULTIPLIER)) & _MASK
    if whole < len(data):
        value = ((value ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER) & _MASK
    value = ((value ^ (value >> 13)) * _MULTIPLIER) & _MASK
    return value ^ (value >> 15)
