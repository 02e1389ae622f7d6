"""Names, partitions and policies of the topics, without a broker."""

from cc_stream.topics import Finding, topics


def test_names_and_partitions() -> None:
    made = topics("acme", calls=8, agents=3, board=5)
    assert {topic.name: topic.partitions for topic in made} == {
        "acme.calls.v1": 8,
        "acme.agents.v1": 3,
        "acme.reference.v1": 1,
        "acme.deltas.v1": 5,
        "acme.dead-letters.v1": 1,
        "acme.metrics.v1": 5,
        "acme.leaderboards.v1": 5,
        "acme.alerts.v1": 5,
        "acme.contacts.v1": 8,
        "acme.contacts-changelog.v1": 8,
        "acme.agents-changelog.v1": 3,
        "acme.reference-changelog.v1": 1,
        "acme.panes-changelog.v1": 5,
        "acme.ingest-positions.v1": 1,
    }


def test_events_have_the_brokers_time_and_changelogs_are_compacted() -> None:
    made = topics()
    for topic in (made.calls, made.agents):
        assert topic.config["message.timestamp.type"] == "LogAppendTime"
    for topic in made:
        if "changelog" in topic.name:
            assert topic.config["cleanup.policy"] == "compact"


def test_a_finding_is_one_line_that_names_the_topic() -> None:
    assert str(Finding("t", "missing", "a topic", "missing")) == "topic t is missing"
    assert str(Finding("t", "partitions", "4", "2")) == "topic t: partitions is 2, expected 4"
