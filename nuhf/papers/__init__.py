"""The analyses of five papers: their numbers and figures beside ours."""
