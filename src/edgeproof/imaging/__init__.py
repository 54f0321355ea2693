"""Pictures: what a file says of itself, decoding, EXIF orientation, resampling, finding, turning."""
