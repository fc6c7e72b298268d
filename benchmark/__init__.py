"""What is run: the command line, suites, the training of one experiment, and the launching of many."""
