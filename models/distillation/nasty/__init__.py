"""Nasty teachers: protecting a network of one's own against being distilled."""
