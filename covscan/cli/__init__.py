"""The command line: it parses, calls the pipeline and prints."""
