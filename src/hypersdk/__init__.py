"""HyperSDK."""
