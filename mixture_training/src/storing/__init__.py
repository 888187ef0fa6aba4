"""Where decisions, feedback and keys are kept: tables and their migrations, the spool before them, and forgetting."""
