"""What a model reads: our sentences, results as clients get them, and what of tool output must not look like ours."""
