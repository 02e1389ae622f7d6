"""Bad input at scale: every parser meets mutated examples, and only its own error leaves it.

`python -m tests.fuzz` (`make fuzz`) runs a million inputs; `test_fuzz` runs 20,000 of them.
"""
