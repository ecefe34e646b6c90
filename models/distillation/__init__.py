"""How a student learns: losses, methods, defenses."""
