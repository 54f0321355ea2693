"""Enrolled people: put in, searched, reported on, handed out."""
