"""The packages of the project, file for file."""
