"""Figures, drawn from records and timings."""
