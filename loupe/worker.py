"""A worker of `loupe serve`: gunicorn's threaded one, which when it stops leaves nobody in the queue before the door."""

import select

from gunicorn.workers.gthread import ThreadWorker


class Worker(ThreadWorker):  # type: ignore[misc]
    """Takes in every connection that waits when it is told to stop, then shuts its door at once.

    gunicorn keeps the door open until the last request is answered and takes nobody in: where no other worker does, whoever
    came meanwhile was let in by the system, sent a request, and is thrown out when the door shuts.
    """

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or cease to take connections; gunicorn calls it as the first step of a stop."""
        super().set_accept_enabled(enabled)
        if self.alive:
            return
        for listener in self.sockets:
            waiting = select.poll()
            waiting.register(listener, select.POLLIN)
            while waiting.poll(0):
                self.accept(listener)
            listener.close()
