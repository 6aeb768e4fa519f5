"""What the scheduler does with a stage, one module an action."""
