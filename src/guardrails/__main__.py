"""`python -m guardrails` is the command line."""

from guardrails.cli import main

if __name__ == "__main__":
    main()
