"""Names in TripExampleGen's Examples artifacts, for the nodes that read or join them."""

COUNTS_FILE, REJECTED_FOLDER = "counts.json", "rejected"
SPAN_PROPERTY, VERSION_PROPERTY, WINDOW_PROPERTY, INGEST_PROPERTY = "span", "version", "window", "ingest"
