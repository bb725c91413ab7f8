"""The atlas file: its schema, its writer, its upkeep."""
