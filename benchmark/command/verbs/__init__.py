"""The verbs, a file each: ``VERB`` of every one is found by ``command.verb``."""
