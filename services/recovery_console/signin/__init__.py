"""Signing in and out: by API key, or at an OpenID Connect issuer."""
