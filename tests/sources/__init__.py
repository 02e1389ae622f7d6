"""Tests of the sources: what a vendor writes becomes canonical events, each once."""
