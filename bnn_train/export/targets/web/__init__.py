"""One HTML page that carries a packed network and runs it: its sources, what goes into it, and a browser to
check it with."""
