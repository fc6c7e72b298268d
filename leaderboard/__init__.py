"""What came out: records, statistics, tables, figures and published numbers. Imports no other room and never torch."""
