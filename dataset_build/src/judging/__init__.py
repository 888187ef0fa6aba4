"""Experts as judges: what they are asked, what they said, whether they can be trusted."""
