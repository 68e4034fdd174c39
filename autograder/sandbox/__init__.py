"""Where student code lives: processes that can do nothing but compute and answer."""
