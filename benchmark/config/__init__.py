"""From a suite in YAML to resolved experiments and the objects that they name."""
