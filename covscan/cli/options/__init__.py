"""Every option of the command line, declared once."""
