"""The atlas file: its schema, how it is written, and how it is maintained."""
