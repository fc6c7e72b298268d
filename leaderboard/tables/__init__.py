"""How numbers and tables are written down."""
