"""Tests of cc_stream, from pure laws up to real servers."""
