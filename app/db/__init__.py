"""Engine, sessions, migrations and tables."""
