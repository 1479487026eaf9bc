"""Why documents, openings or results cannot be used. `detail` names fields and ids, never their content.

Codes of CaseError: `NO_DISCHARGE`, `NO_INVOICE`, `DOCUMENT_FORM` (a field that the case needs is missing or of
another type), `CURRENCY_MISMATCH`, `PROGRAMS_DIFFER` (one claim under several programs), `RESULT_FORM` (a program
returned what is no result), `UNEXPLAINED` (the explanation does not add up to the result), `LOSS_EXCEEDED` (the program
pays more on an invoice or stay than is left of its loss).
"""

from contracts.errors import ContractError


class CaseError(ContractError):
    """No case can be built, or its result cannot be booked: a person has to look."""
