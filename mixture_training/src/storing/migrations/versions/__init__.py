"""One file a change, never edited once released, only added to."""
