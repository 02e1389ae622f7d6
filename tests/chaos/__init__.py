"""Seeded faults against the oracle: `python -m tests.chaos --help`, docs/reliability.md."""
