"""The page to explore: one self-contained HTML file, made from records only, the same bytes for the same records."""
