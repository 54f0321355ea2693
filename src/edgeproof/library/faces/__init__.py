"""Faces of pictures and streams: found, embedded, compared, evaluated."""
