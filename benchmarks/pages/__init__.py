"""What the report page costs and shows, beside that of another package: parts of ``make bench-report``."""
