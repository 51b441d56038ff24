"""The exceptions that Python does not have already."""


class FormatError(ValueError):
    """A file is damaged, cut short, or was not written by nearwood."""


class UnknownIdError(KeyError):
    """An id or a name that is not there. A ``KeyError`` whose text is meant for people."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


FormatError.__module__ = UnknownIdError.__module__ = "nearwood"
