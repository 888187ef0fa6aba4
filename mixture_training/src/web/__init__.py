"""The page that `moe serve` shows at `/`, and the figures it reads from the server."""
