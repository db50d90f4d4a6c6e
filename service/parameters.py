"""What stands behind the `?` of an address: the parameters that there are, each once, and nothing else.

Knows query strings; must not know what a parameter means.
"""

from starlette.requests import Request

from service.errors import FieldFault, InvalidRequest

MAX_FAULTS = 20


def check_parameters(request: Request, *known: str) -> None:
    """Raises InvalidRequest for a parameter that would be ignored: unknown, or given a second time."""
    if not request.scope["query_string"]:
        return
    given = request.query_params.multi_items()
    names = [name for name, _ in given]
    faults = [FieldFault(name, _bound(known), value) for name, value in given if name not in known]
    faults += [FieldFault(name, "given once", "given twice") for name in known if names.count(name) > 1]
    if faults:
        detail = f"{faults[0].field} must be {faults[0].bound}."
        raise InvalidRequest(detail, faults=faults[:MAX_FAULTS])


async def no_parameters(request: Request) -> None:
    """A route that depends on this takes none. Raises InvalidRequest."""
    check_parameters(request)


def _bound(known: tuple[str, ...]) -> str:
    if known:
        return f"left out: the only parameter is {', '.join(known)}"
    return "left out: there are no parameters"
