"""Help by subject: a hundred options in one list are no help."""

from __future__ import annotations

import click

from hypersdk.cli.hyperexport.options.all import SUBJECTS


class Sectioned(click.Command):
    """A command whose options stand below the headings of `SUBJECTS`."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """In the order of the subjects; what belongs to none (help, version) comes last."""
        rest = self.get_params(ctx)
        for heading, options in SUBJECTS.items():
            mine, rest = rest[: len(options)], rest[len(options) :]
            if heading == "Output":
                mine, rest = [*mine, *rest], []
            rows = [record for each in mine if (record := each.get_help_record(ctx)) is not None]
            with formatter.section(heading):
                formatter.write_dl(rows)
