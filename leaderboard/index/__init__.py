"""Folders of very many records: an index beside them, which is never trusted over them."""
