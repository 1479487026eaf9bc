"""`claimnode contract`: products as folders, checked and explained before anyone votes on them.

Knows options, what is printed and exit codes. Must not know a rule of a product or of the ledger. Always true: `check`
and `explain` are offline and change nothing; a program is run in a process of its own, under limits.
"""

import click


@click.group(name="contract", invoke_without_command=False)
def contract() -> None:
    """Claim contracts: a product's program, tables and worked examples.

    \b
    Example: claimnode contract check network-config/demo/products/group
             claimnode contract explain network-config/demo/products/group --lang zh
    """
