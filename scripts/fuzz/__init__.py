"""Random packed programs at the edges of the format's rules, and what becomes of them."""
