"""Benchmarks: `python -m bench [actors] [store] …` measures and prints, next to the goals.

What counts are the ratios. Each contender does the same work in the same process, in rounds that
take turns, so that a slow moment of the machine slows them all; of the rounds the median counts.
"""
