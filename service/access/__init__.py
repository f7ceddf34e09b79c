"""Who may ask, how often, and when requests are refused."""
