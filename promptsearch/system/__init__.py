"""What the machine and the file system need."""
