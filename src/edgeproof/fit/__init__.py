"""Fitting a network to a budget: the only place where optimising, verifying and measuring meet."""
