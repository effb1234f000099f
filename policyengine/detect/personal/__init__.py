"""Personal data that patterns and check digits can find, a file for each kind. Names and places need a model, and are
left to plugged-in finders."""
