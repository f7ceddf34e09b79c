"""The shapes of answers, and how they are filled."""
