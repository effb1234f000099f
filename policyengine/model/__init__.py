"""The things that the language is about: types, values, operators, entities, requests, decisions. Depends on no room
above it."""
