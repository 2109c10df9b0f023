"""Every step in numpy: the definition that the native engines equal."""
