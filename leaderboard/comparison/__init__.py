"""Comparing rows: rank intervals of a board, paired differences of two networks, two folders of records."""
