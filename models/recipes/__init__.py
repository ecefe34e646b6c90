"""What to do: frozen dataclasses without torch, shared by the library and the service."""
