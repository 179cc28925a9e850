"""The Python package pgvector, as published, with psycopg2 against a vecidx database.

Its types are registered by name; values go as text, and as what its
to_binary() writes by COPY.  Expects PGHOST and PGUSER to lead to a server that
has the extension.  Writes TAP.
"""
import io
import struct

from pgvector import Bit, HalfVector, SparseVector, Vector
from pgvector.psycopg2 import register_vector

from tap import equal, run, test

try:
    import numpy
except ImportError:
    numpy = None


def query(connection, text, *values):
    with connection.cursor() as cursor:
        cursor.execute(text, values or None)
        return cursor.fetchall() if cursor.description else None


SPARSE = SparseVector({0: 1.0, 2: -2.5, 8: 3.0}, 9)


def not_registered(connection):
    equal(query(connection, "SELECT '[1,2]'::vector, '{1:1}/2'::sparsevec"), [("[1,2]", "{1:1}/2")])


def registered(connection):
    register_vector(connection)
    equal(query(connection, "SELECT '[1,2.5]'::vector, '[1,2.5]'::halfvec, '{1:1,3:-2.5,9:3}/9'::sparsevec, NULL::vector"),
          [(Vector([1.0, 2.5]), HalfVector([1.0, 2.5]), SPARSE, None)])
    equal(query(connection, "SELECT ARRAY['[1]', NULL, '[2]']::vector[], ARRAY['[3]']::halfvec[], ARRAY['{}/2']::sparsevec[]"),
          [([Vector([1.0]), None, Vector([2.0])], [HalfVector([3.0])], [SparseVector({}, 2)])])


def parameters(connection):
    query(connection, "CREATE TABLE items (id int, v vector(3), h halfvec(3), s sparsevec(9), b bit(12))")
    rows = [(1, Vector([1.0, 2.0, 3.0]), HalfVector([1.0, 2.0, 3.0]), SPARSE, "101010101010"),
            (2, Vector([0.1, -1e-45, 3.4028234663852886e38]), HalfVector([65504.0, 0.0999755859375, 2.0 ** -24]), SparseVector({8: 1e-45}, 9), "0" * 12),
            (3, None, None, None, None)]
    for values in rows:
        query(connection, "INSERT INTO items VALUES (%s, %s, %s, %s, %s)", *values)
    equal(query(connection, "SELECT * FROM items ORDER BY id"), rows, "rows")
    query(connection, "INSERT INTO items (id, b) VALUES (4, %s)", Bit("111100001111").to_text())
    equal(query(connection, "SELECT b FROM items WHERE id = 4"), [("111100001111",)])


def copied(connection):
    """What to_binary() writes is taken as it is, and equals the same value sent as text."""
    values = (Vector([1.5, -0.1, 3.0]), HalfVector([1.5, -0.1, 3.0]), SPARSE, Bit("101100111010"))
    fields = [struct.pack(">i", 10)] + [value.to_binary() for value in values]
    data = (b"PGCOPY\n\xff\r\n\0" + bytes(8) + struct.pack(">h", len(fields)) +
            b"".join(struct.pack(">i", len(f)) + f for f in fields) + struct.pack(">h", -1))
    with connection.cursor() as cursor:
        cursor.copy_expert("COPY items FROM STDIN (FORMAT binary)", io.BytesIO(data))
        out = io.BytesIO()
        cursor.copy_expert("COPY (SELECT * FROM items WHERE id = 10) TO STDOUT (FORMAT binary)", out)
    equal(out.getvalue(), data, "stream")
    query(connection, "INSERT INTO items VALUES (11, %s, %s, %s, %s)", *values[:3], values[3].to_text())
    equal(query(connection, "SELECT count(*) FROM items a JOIN items b USING (v, h, s, b) WHERE a.id = 10 AND b.id = 11"), [(1,)], "rows that are equal")


def nearest(connection):
    query(connection, "CREATE TABLE near (id int, v vector(2), h halfvec(2), s sparsevec(2))")
    for i in range(200):
        query(connection, "INSERT INTO near VALUES (%s, %s, %s, %s)", i, Vector([i, 1.0]), HalfVector([i, 1.0]), SparseVector([i, 1.0]))

    def check():
        for column, value in (("v", Vector([77.25, 1.0])), ("h", HalfVector([77.25, 1.0])), ("s", SparseVector([77.25, 1.0]))):
            rows = query(connection, f"SELECT id, {column} <-> %s FROM near ORDER BY {column} <-> %s LIMIT 3", value, value)
            equal(rows, [(77, 0.25), (78, 0.75), (76, 1.25)], column)

    check()
    for column, opclass in (("v", "vector_l2_ops"), ("h", "halfvec_l2_ops"), ("s", "sparsevec_l2_ops")):
        query(connection, f"CREATE INDEX ON near USING hnsw ({column} {opclass})")
    query(connection, "SET enable_seqscan = off")
    query(connection, "SET hnsw.ef_search = 200")
    check()
    for column, value in (("v", Vector([1.0, 1.0])), ("h", HalfVector([1.0, 1.0])), ("s", SparseVector([1.0, 1.0]))):
        assert "Index Scan" in str(query(connection, f"EXPLAIN SELECT id FROM near ORDER BY {column} <-> %s LIMIT 3", value)), column


def aggregates(connection):
    equal(query(connection, "SELECT avg(v), sum(h) FROM near WHERE id < 3"), [(Vector([1.0, 1.0]), HalfVector([3.0, 3.0]))])


def numpy_arrays(connection):
    if numpy is None:
        return "no numpy"
    value = numpy.array([1.5, 2.5], dtype=numpy.float32)
    equal(query(connection, "SELECT %s::vector", value), [(Vector([1.5, 2.5]),)])
    equal(query(connection, "SELECT '[1.5,2.5]'::vector")[0][0].to_numpy().tolist(), value.tolist())
    return None


def main(connection):
    test("values are text before types are registered", not_registered, connection)
    test("types are registered by name", registered, connection)
    test("parameters and results", parameters, connection)
    test("binary COPY of to_binary()", copied, connection)
    test("nearest rows, with and without an index", nearest, connection)
    test("aggregates", aggregates, connection)
    test("numpy arrays", numpy_arrays, connection)


run("vecidx_clients_pgvector", main)
