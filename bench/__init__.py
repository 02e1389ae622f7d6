"""Benchmarks: throughput, latency, recovery, memory. Each prints its result."""
