"""The workloads: one module each, with `run(options) -> Results`."""
