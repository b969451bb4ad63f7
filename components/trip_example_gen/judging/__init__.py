"""Rows that become trips, and why others do not."""
