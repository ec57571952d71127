"""The demonstration without a cluster, which runs the containers of patched Pods as plain programs."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
"""The source checkout that this package is in, if it is: it has the Deployment and the application."""

DEPLOYMENT = CHECKOUT / "manifests" / "demo"
APPLICATION = CHECKOUT / "demo-app"


def is_offered() -> bool:
    """Tell whether what the demonstration shows is here: an installed package does not bring it."""
    return DEPLOYMENT.exists() and APPLICATION.exists()
