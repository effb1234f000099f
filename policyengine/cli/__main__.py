"""`python -m policyengine.cli` is `policyengine`."""

from policyengine.cli.main import app

if __name__ == "__main__":
    app()
