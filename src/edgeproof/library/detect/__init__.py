"""Objects of pictures and videos: found, written, evaluated."""
