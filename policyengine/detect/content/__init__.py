"""Content that is a danger in any text: canaries, parts of other texts, deceptive characters, links that load by
themselves, and phrases of attacks."""
