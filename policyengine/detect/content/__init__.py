"""What a text carries that nobody should meet: canaries, parts of other texts, characters that deceive, links that
load, and phrases of attacks."""
