"""Files of trips, cut into chunks, and their rows."""
