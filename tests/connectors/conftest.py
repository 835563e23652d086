"""What the connectors' own tests share: a connector, open, before its simulated partner."""

from router.sdk.testing.rig import running

__all__ = ["running"]
