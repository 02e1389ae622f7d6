"""Tests against real servers: Kafka, Redis, Prometheus."""
