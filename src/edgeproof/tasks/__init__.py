"""One file for each task: prepare a picture, decode the outputs. They never import each other."""
