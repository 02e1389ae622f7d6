"""Tests of the topology without a broker."""
