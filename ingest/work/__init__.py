"""Share the chunks of a study among processes."""
