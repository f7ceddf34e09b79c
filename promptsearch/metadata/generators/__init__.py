"""One reader per program: from a picture's texts by name to cells, or None if another program wrote them."""
