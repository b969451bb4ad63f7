"""Cells of a source as numbers, texts and local times."""
