"""Every route of an app, those of mounted apps and included routers too."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute


def doors(routes: Sequence[BaseRoute], before: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of every route, in mounted apps too; parameters are given a value."""
    for route in routes:
        match route:
            case Mount(path=path):
                yield from doors(route.routes, before + path)
                yield "GET", f"{before}{path}/x"
            case Route(path=path, methods=methods):
                for method in methods or ():
                    yield method, before + re.sub(r"{[^}]*}", "x", path)
            case WebSocketRoute(path=path):
                yield "WEBSOCKET", before + re.sub(r"{[^}]*}", "x", path)
            case _:
                # FastAPI keeps a router that was included as one entry; nothing else is expected here.
                included: Any = route
                yield from doors(included.original_router.routes, before + included.include_context.prefix)
