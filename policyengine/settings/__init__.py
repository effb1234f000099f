"""The settings of the service: one typed model, from flags, the environment and a file.

In: a TOML file, environment variables that start with POLICYENGINE_, and what the command line says. Out: one frozen
`Settings`, or what is wrong, in the user's words.

| file | job |
|---|---|
| `model.py` | the settings and their types |
| `loading.py` | from file and environment to the model; unknown settings are refused |
| `as_toml.py` | the settings as text, without secrets |
"""
