"""One run: the training of some instances, its callbacks, and the records it writes."""
