"""Read the text in a picture file: chunks, EXIF, XMP, and bits hidden in the pixels."""
