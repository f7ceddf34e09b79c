"""Queries, ranking, paging, and the collection that answers them."""
