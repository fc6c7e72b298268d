"""The command line: what each verb does with its options, and what it prints."""
