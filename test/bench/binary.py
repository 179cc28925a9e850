"""Executes prepared statements with a vector as applications send it: in binary, as a parameter of its own.

psycopg2 writes every value into the statement, as text, and the server parses that: with some hundred numbers it takes longer than a search.
So this goes to libpq, which psycopg2 is made upon, with the connection that psycopg2 has opened.
"""
import ctypes

import psycopg2

TUPLES_OK = 2


def load():
    # a library's own dependencies are searched for a name, too: so this is the libpq that psycopg2 works with
    lib = ctypes.CDLL(psycopg2._psycopg.__file__)
    text, pointer = ctypes.c_char_p, ctypes.c_void_p
    lib.PQexecPrepared.restype = pointer
    lib.PQexecPrepared.argtypes = [pointer, text, ctypes.c_int, ctypes.POINTER(text), ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int), ctypes.c_int]
    lib.PQresultStatus.argtypes = lib.PQntuples.argtypes = lib.PQclear.argtypes = [pointer]
    lib.PQclear.restype = None
    lib.PQgetvalue.restype = lib.PQerrorMessage.restype = text
    lib.PQgetvalue.argtypes = [pointer, ctypes.c_int, ctypes.c_int]
    lib.PQerrorMessage.argtypes = [pointer]
    return lib


def wire(vector, element):
    """A vector in its type's binary form; element is that of data.TYPES."""
    return len(vector).to_bytes(2, "big") + bytes(2) + vector.astype(element).tobytes()


class Statement:
    """A statement that was prepared by SQL, returning a column of integers.  Its first parameter is binary, the others are text."""
    lib = None

    def __init__(self, conn, name):
        if Statement.lib is None:
            Statement.lib = load()
        self.conn, self.name = conn, name.encode()

    def execute(self, binary, others):
        values = [binary, *(str(value).encode() for value in others)]
        n = len(values)
        result = self.lib.PQexecPrepared(self.conn.pgconn_ptr, self.name, n, (ctypes.c_char_p * n)(*values), (ctypes.c_int * n)(*map(len, values)),
                                         (ctypes.c_int * n)(1), 0)
        try:
            if self.lib.PQresultStatus(result) != TUPLES_OK:
                raise RuntimeError(self.lib.PQerrorMessage(self.conn.pgconn_ptr).decode(errors="replace"))
            return [int(self.lib.PQgetvalue(result, row, 0)) for row in range(self.lib.PQntuples(result))]
        finally:
            self.lib.PQclear(result)
