"""What stands beside the pixels in a picture file: chunks, EXIF, XMP, and bits hidden in the pixels."""
