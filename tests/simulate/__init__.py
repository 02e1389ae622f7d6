"""Tests of the simulated floor."""
