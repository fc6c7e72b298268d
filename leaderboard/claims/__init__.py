"""Claims: statements of papers, each decided from records alone by a rule that was written before they were made."""
