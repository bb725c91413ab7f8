"""Ingest on a cluster with Apache Spark."""
