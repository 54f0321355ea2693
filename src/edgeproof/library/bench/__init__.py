"""Measuring built-in tasks and networks: `edgeproof bench`."""
