"""Rules: each decides, which of a claim's comparisons hold. A claim names one by ``kind``."""
