"""The console: a web page for recovery leads and operators, and a client of the two APIs alone."""
