"""The public functions and the objects they take: the same as the command line, in Python."""
