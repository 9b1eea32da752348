"""Matching many recordings: options, the manifest, reading ahead, writing behind, and the loop between."""
