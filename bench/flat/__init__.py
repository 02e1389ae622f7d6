"""Flat work: completed calls, counted by agent and by team in windows of 10 s, by five engines.

Every candidate reads the same records and leaves its windows in a file that has to equal the plain
sum over the input (`calls.check`).
"""
