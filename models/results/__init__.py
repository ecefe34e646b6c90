"""What came out: frozen dataclasses without torch, shared by the library and the service."""
