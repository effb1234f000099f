"""Trees and schema to typed policies, or to findings."""
