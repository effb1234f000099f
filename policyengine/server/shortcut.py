"""Middleware: the endpoints that must be fast are found by one dictionary lookup, past the router and all middleware.

They are routes as well, so that every other method on their paths is answered 405 as usual. What middleware does for
others they do themselves: see `evaluation.Endpoint`.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send


class Shortcut:
    """`posts` maps a path to the endpoint that answers a POST there."""

    def __init__(self, app: ASGIApp, posts: Mapping[str, ASGIApp]) -> None:
        self.app = app
        self.posts = posts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            await self.posts.get(scope["path"], self.app)(scope, receive, send)
        else:
            await self.app(scope, receive, send)
