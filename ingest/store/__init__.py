"""Store the scores of a study in an atlas."""
