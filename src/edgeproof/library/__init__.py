"""Putting a collection of photos right."""
