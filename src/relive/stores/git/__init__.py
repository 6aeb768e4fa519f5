"""The projects' bare git repositories, worked on by the git binary and nothing else."""
