"""A simulated contact-centre floor: seeded events for tests, demonstrations and benchmarks."""
