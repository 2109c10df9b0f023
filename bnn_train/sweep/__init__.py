"""Grids of runs: what is to run, running it, and one table of what came out."""
