"""One reader a program: from a picture's texts by name to cells, or None if they are not that program's."""
