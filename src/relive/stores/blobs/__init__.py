"""Bytes by their digest, on a local disk or in S3."""
