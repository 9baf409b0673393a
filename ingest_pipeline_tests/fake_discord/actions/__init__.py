"""Actions of people, which the simulated Discord answers to and reports."""
