"""``python -m producer`` is ``push-queue``."""

from producer.cli import main

if __name__ == "__main__":
    main()
