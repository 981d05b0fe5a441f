"""``python -m hypersdk.cli.hypervisord``: how the daemon begins its worker."""

from hypersdk.cli.hypervisord.main import main

main()
