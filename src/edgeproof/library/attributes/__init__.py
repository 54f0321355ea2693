"""Age and gender of the faces of pictures."""
