"""The things the language speaks about: types, values, operators, entities, requests, decisions. Depends on nothing
above."""
