"""`moe serve`: the router behind the protocol of OpenAI, with keys, limits, metrics and an orderly end."""
