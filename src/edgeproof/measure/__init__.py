"""Measuring that can be trusted: isolated runs, memory, and the statistics of what they gave."""
