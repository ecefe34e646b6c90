"""Settings, states, errors and identifiers."""
