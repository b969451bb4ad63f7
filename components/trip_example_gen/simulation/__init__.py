"""Invented trips in the dialect of a city."""
