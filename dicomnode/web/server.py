"""The web server, in a thread of the node."""

import threading
import time
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from dicomnode.errors import SettingsError
from dicomnode.web.options import WebOptions

__all__ = ["Server"]

_START_S = 60.0
_STOP_S = 4.0
_POLL_S = 0.02


class Server:
    """Serves an application from ``with`` to the end of its block."""

    def __init__(self, app: ASGIApp, options: WebOptions) -> None:
        self._options = options
        config = uvicorn.Config(
            app,
            host=options.host,
            port=options.port,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    def __enter__(self) -> Self:
        """Return when the port answers."""
        self._thread.start()
        give_up_at = time.monotonic() + _START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > give_up_at:
                raise SettingsError(
                    f"could not serve the web page on {self._options.host}:{self._options.port}",
                    hint="another program may use the port; change [web] port",
                )
            time.sleep(_POLL_S)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Finish the requests that are short; one that hangs is left behind."""
        self._server.should_exit = True
        self._thread.join(_STOP_S)

    def _serve(self) -> None:
        try:
            self._server.run()
        except SystemExit:  # uvicorn's way to say that it could not listen
            return
