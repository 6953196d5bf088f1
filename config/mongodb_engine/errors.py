"""MongoDB's errors as Django's.

Promise: a row that is refused is an IntegrityError, a server that cannot answer now an OperationalError, as
is a transaction that another one's write stood in the way of; the error of the driver is the cause.
On failure: nothing can fail here.
"""

from types import TracebackType

from django.db import DatabaseError, DataError, IntegrityError, OperationalError
from django.db.utils import DatabaseErrorWrapper
from pymongo import errors

DUPLICATE_KEY = 11000
REFUSED_BY_VALIDATOR = 121
WRITE_CONFLICT = 112
# Of transactions and locks, time limits and logins.
NOT_NOW = frozenset({WRITE_CONFLICT, 13, 18, 20, 24, 50, 189, 225, 244, 246, 251, 256, 262, 263})
TRANSIENT = "TransientTransactionError"


def is_transient(error: BaseException) -> bool:
    """Whether the whole transaction may succeed when it is run again."""
    if isinstance(error, errors.OperationFailure):
        return error.has_error_label(TRANSIENT) or WRITE_CONFLICT in _codes(error)
    return False


def translated(error: errors.PyMongoError) -> DatabaseError:
    """Django's error for one of the driver."""
    codes = _codes(error)
    if DUPLICATE_KEY in codes or REFUSED_BY_VALIDATOR in codes:
        return IntegrityError(str(error))
    if isinstance(error, errors.ConnectionFailure | errors.ExecutionTimeout):
        return OperationalError(str(error))
    if error.has_error_label(TRANSIENT) or codes & NOT_NOW:
        return OperationalError(str(error))
    if isinstance(error, errors.InvalidOperation | errors.WriteError | errors.DocumentTooLarge):
        return DataError(str(error))
    return DatabaseError(str(error))


def _codes(error: errors.PyMongoError) -> frozenset[int]:
    codes = {getattr(error, "code", None)}
    if isinstance(error, errors.BulkWriteError):
        codes |= {each["code"] for each in error.details.get("writeErrors", ())}
    return frozenset(code for code in codes if code is not None)


class ErrorWrapper(DatabaseErrorWrapper):  # type: ignore[misc]
    """What `connection.wrap_database_errors` is."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise Django's error for the driver's."""
        if isinstance(exc_value, errors.PyMongoError):
            connection = self.wrapper
            if connection.in_atomic_block and not isinstance(exc_value, errors.InvalidOperation):
                # The server has ended the transaction, whoever catches this.
                connection.needs_rollback = True
            raise translated(exc_value).with_traceback(traceback) from exc_value
