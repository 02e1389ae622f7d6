"""Benchmarks on a real Kafka: throughput, latency, memory. `make bench`; docs/performance.md."""
