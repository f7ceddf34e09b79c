"""Which requests are accepted: keys, rate limits, admission and load shedding."""
