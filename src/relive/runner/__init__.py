"""Make a job's world, run it, report: checkout, environment, process, records."""
