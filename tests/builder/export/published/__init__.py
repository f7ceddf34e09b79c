"""Tests of published weights and their download."""
