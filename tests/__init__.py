"""The rooms of the project, file for file."""
