"""Pure functions of arrays that judge a router: intervals, reference points, gaps, curves."""
