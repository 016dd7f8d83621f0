"""Errors as HTTP answers: one JSON shape, one table from code to status."""

import logging
import math
from collections.abc import Mapping
from typing import Final

import msgspec
from quart import Response, current_app, request
from werkzeug.exceptions import HTTPException

from wingman.api import CODES, ErrorAnswer, ErrorDetail
from wingman.errors import SessionElsewhere, Unavailable, WingmanError
from wingman.telemetry import log_event

__all__ = [
    "AnswerCut",
    "error_body",
    "http_error_response",
    "internal_error",
    "misdirected",
    "wingman_error",
]

logger = logging.getLogger("wingman.server")

REQUEST_ID: Final = "wingman.request_id"

_HTTP_CODES: Final[Mapping[int, str]] = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
}


class AnswerCut(Exception):
    """An answer whose beginning was sent cannot be completed: its connection is to be closed."""


def status_of(code: str) -> int:
    """The HTTP status of an error's code; 500 for what is no fault of the caller or the model."""
    if code in CODES:
        return CODES[code].status
    return 404 if code.endswith("_not_found") else 500


def error_body(code: str, message: str, request_id: str, run_id: str | None = None) -> bytes:
    """The JSON of an error."""
    return msgspec.json.encode(ErrorAnswer(ErrorDetail(code, message, request_id, run_id)))


async def wingman_error(error: WingmanError) -> Response:
    """An error of Wingman's tree as an answer."""
    status = status_of(error.code)
    if status >= 500 and not isinstance(error, Unavailable):
        ids = {"request_id": _request_id(), "error": error.code}
        log_event(logger, logging.ERROR, "the request failed", **ids, status=status)
    response = _response(status, error.code, error.message, getattr(error, "run_id", None))
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Unavailable) and error.retry_after > 0:
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return response


async def misdirected(error: SessionElsewhere) -> Response:
    """What another node is answered that has sent a request for a session of which this one is not
    the owner."""
    return _response(421, error.code, error.message)


async def http_error_response(error: HTTPException) -> Response:
    """What Quart and Werkzeug refuse, in our shape: no such route, no such method, …"""
    status = error.code or 500
    code = _HTTP_CODES.get(status, "http_error")
    message = error.description or error.name
    if status == 404:
        message = f"There is nothing at {request.method} {request.path}."
    if status == 405:
        message = f"{request.path} does not take {request.method}."
    if status == 413:
        most = current_app.config["MAX_CONTENT_LENGTH"]
        message = f"The body is too large: {most:,} bytes at most."
    response = _response(status, code, message)
    allow = dict(error.get_headers()).get("Allow")
    if allow is not None:
        response.headers["Allow"] = allow
    return response


async def internal_error(error: BaseException) -> Response:
    """A bug: the log has the traceback, under the request's id; the answer has none of it."""
    request_id = _request_id()
    text = "the request failed by an error inside the server"
    log_event(logger, logging.ERROR, text, error, request_id=request_id, status=500)
    message = "An error inside the server; its log has the details under this request_id."
    return _response(500, "internal_error", message)


def _request_id() -> str:
    return str(request.scope.get(REQUEST_ID, ""))


def _response(status: int, code: str, message: str, run_id: str | None = None) -> Response:
    body = error_body(code, message, _request_id(), run_id)
    return Response(body, status=status, content_type="application/json")
