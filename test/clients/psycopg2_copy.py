"""psycopg2 against a vecidx database: binary COPY in and out, text parameters.

The wire formats are put together here, with struct, as docs/types.md has them:
what comes out is compared byte by byte with what went in.  Expects PGHOST and
PGUSER to lead to a server that has the extension.  Writes TAP.
"""
import io
import math
import random
import struct

import psycopg2
import psycopg2.extras

from tap import equal, run, test

# ---------- the wire formats


def vector(elements, dim=None, unused=0):
    return struct.pack(f">hh{len(elements)}f", len(elements) if dim is None else dim, unused, *elements)


def halfvec(elements, dim=None, unused=0):
    return struct.pack(f">hh{len(elements)}e", len(elements) if dim is None else dim, unused, *elements)


def sparsevec(dim, elements, nnz=None, unused=0):
    """elements: pairs of an index, from 0, and a value."""
    n = len(elements)
    return struct.pack(f">iii{n}i{n}f", dim, n if nnz is None else nnz, unused,
                       *(i for i, _ in elements), *(x for _, x in elements))


def bit(bits, length=None):
    padded = bits + "0" * (-len(bits) % 8)
    return (struct.pack(">i", len(bits) if length is None else length) +
            bytes(int(padded[i:i + 8], 2) for i in range(0, len(padded), 8)))


# ---------- COPY BINARY

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER = struct.pack(">h", -1)


def field(data):
    return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data


def row(fields):
    return struct.pack(">h", len(fields)) + b"".join(field(data) for data in fields)


def stream(rows):
    return HEADER + b"".join(row(fields) for fields in rows) + TRAILER


class Source:
    """A file of a stream that is made while it is read, in pieces of odd sizes."""

    def __init__(self, rows):
        self.rows = iter(rows)
        self.rest = HEADER
        self.ended = False
        self.random = random.Random(1)

    def read(self, size):
        want = min(size, self.random.choice((1, 2, 3, 7, 64, 1000, 8191)))
        while len(self.rest) < want and not self.ended:
            fields = next(self.rows, None)
            self.ended = fields is None
            self.rest += TRAILER if self.ended else row(fields)
        piece, self.rest = self.rest[:want], self.rest[want:]
        return piece


class Sink:
    """A file that compares what is written to it with a stream, as it comes."""

    def __init__(self, rows):
        self.expected = Source(rows)
        self.rest = b""
        self.size = 0

    def write(self, data):
        while len(self.rest) < len(data):
            more = self.expected.read(1 << 20)
            if not more:
                raise AssertionError("more came out than went in")
            self.rest += more
        equal(data, self.rest[:len(data)], f"from byte {self.size}")
        self.rest = self.rest[len(data):]
        self.size += len(data)

    def finish(self):
        equal(self.rest + self.expected.read(1), b"", f"after {self.size} bytes, not sent")


def copy_in(connection, table, source):
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table} FROM STDIN (FORMAT binary)", source)
        return cursor.rowcount


def check_out(connection, query, rows):
    with connection.cursor() as cursor:
        sink = Sink(rows)
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", sink)
        sink.finish()


def query(connection, text, *values):
    with connection.cursor() as cursor:
        cursor.execute(text, values or None)
        return cursor.fetchall() if cursor.description else None


# ---------- values

def random_floats(generator, n):
    """Of all magnitudes: random bits, but neither NaN nor infinity."""
    bits = (generator.getrandbits(32) for _ in range(n))
    return [struct.unpack(">f", struct.pack(">I", b & 0xff7fffff if b & 0x7f800000 == 0x7f800000 else b))[0] for b in bits]


def random_halves(generator, n):
    bits = (generator.getrandbits(16) for _ in range(n))
    return [struct.unpack(">e", struct.pack(">H", b & 0xfbff if b & 0x7c00 == 0x7c00 else b))[0] for b in bits]


def random_sparse(generator, dim, n):
    indices = sorted(generator.sample(range(dim), n))
    return sparsevec(dim, [(i, x or 1.0) for i, x in zip(indices, random_floats(generator, n))])


def random_bits(generator, n):
    return format(generator.getrandbits(n), f"0{n}b")


def all_halves():
    """Every half but NaN and infinity, in vectors of the type's size."""
    bits = [b for b in range(1 << 16) if b & 0x7c00 != 0x7c00]
    return [struct.pack(f">hh{len(part)}H", len(part), 0, *part) for part in (bits[i::4] for i in range(4))]


LARGEST = struct.unpack(">f", b"\x7f\x7f\xff\xff")[0]
TINY = 2.0 ** -149


def special():
    generator = random.Random(2)
    return {
        "vector": [vector([1.0]), vector([0.0, -0.0, TINY, -TINY, 2.0 ** -126, LARGEST, -LARGEST, 0.1])] +
                  [vector(random_floats(generator, n)) for n in (2, 7, 499, 500, 2000, 15999, 16000)],
        "halfvec": [halfvec([1.0])] + [halfvec(random_halves(generator, n)) for n in (2, 7, 1000, 15999, 16000)] + all_halves(),
        "sparsevec": [sparsevec(1, []), sparsevec(10 ** 9, []), sparsevec(1, [(0, -TINY)]),
                      sparsevec(10 ** 9, [(0, LARGEST), (10 ** 9 - 1, 0.1)]), random_sparse(generator, 16000, 16000)] +
                     [random_sparse(generator, 10 ** 9, n) for n in (1, 7, 1000, 16000)],
        "varbit": [bit(random_bits(generator, n)) for n in (1, 7, 8, 9, 64, 77, 64000, 1000003)] + [bit("0" * 64000), bit("1" * 64000)],
    }


def specials_go_and_come(connection, name, values):
    query(connection, f"CREATE TABLE special (id int, e {name})")
    rows = [(struct.pack(">i", i), data) for i, data in enumerate(values + [None])]
    equal(copy_in(connection, "special", io.BytesIO(stream(rows))), len(rows), "rows")
    check_out(connection, "SELECT * FROM special ORDER BY id", rows)
    # through text and back they are the same, but for a bit's type modifier
    query(connection, f"UPDATE special SET e = e::text::{name}")
    check_out(connection, "SELECT * FROM special ORDER BY id", rows)
    query(connection, "DROP TABLE special")


MANY = 20000


def many_rows():
    generator = random.Random(3)
    for i in range(MANY):
        yield (struct.pack(">i", i),
               None if i % 17 == 0 else vector(random_floats(generator, 24)),
               None if i % 19 == 0 else halfvec(random_halves(generator, 24)),
               None if i % 23 == 0 else random_sparse(generator, 30522, 20),
               None if i % 29 == 0 else bit(random_bits(generator, 77)))


def many_stream(connection):
    query(connection, "CREATE TABLE many (id int, v vector(24), h halfvec(24), s sparsevec(30522), b bit(77))")
    equal(copy_in(connection, "many", Source(many_rows())), MANY, "rows")
    check_out(connection, "SELECT * FROM many ORDER BY id", many_rows())
    # from one table to another, straight through the client
    pipe = io.BytesIO()
    with connection.cursor() as cursor:
        cursor.copy_expert("COPY many TO STDOUT (FORMAT binary)", pipe)
    pipe.seek(0)
    query(connection, "CREATE TABLE more (LIKE many)")
    equal(copy_in(connection, "more", pipe), MANY, "rows")
    for form in ("text", "csv"):
        pipe = io.StringIO()
        with connection.cursor() as cursor:
            cursor.copy_expert(f"COPY more TO STDOUT (FORMAT {form})", pipe)
            pipe.seek(0)
            query(connection, "TRUNCATE more")
            cursor.copy_expert(f"COPY more FROM STDIN (FORMAT {form})", pipe)
        check_out(connection, "SELECT * FROM more ORDER BY id", many_rows())


def indexed_stream(connection):
    """Rows that come by COPY BINARY are in the index."""
    generator = random.Random(4)
    values = [[generator.randrange(-512, 512) / 64 or 1.0 for _ in range(40)] for _ in range(500)]
    query(connection, "CREATE TABLE indexed (id int, v vector(40), h halfvec(40))")
    query(connection, "CREATE INDEX ON indexed USING hnsw (v vector_l2_ops)")
    query(connection, "CREATE INDEX ON indexed USING hnsw (h halfvec_l2_ops)")
    copy_in(connection, "indexed", Source((struct.pack(">i", i), vector(v), halfvec(v)) for i, v in enumerate(values)))
    query(connection, "SET enable_seqscan = off")
    query(connection, "SET hnsw.ef_search = 500")
    for column in ("v", "h"):
        found = 0
        for i in range(0, 500, 50):
            expected = sorted(range(500), key=lambda j: math.dist(values[i], values[j]))[:10]
            text = f"SELECT id FROM indexed ORDER BY {column} <-> %s LIMIT 10"
            assert "Index Scan" in str(query(connection, "EXPLAIN " + text, str(values[i])))
            rows = [r[0] for r in query(connection, text, str(values[i]))]
            equal(rows[0], i, "the row itself")
            found += len(set(rows) & set(expected))
        assert found >= 97, f"only {found} of 100 nearest rows found"
    query(connection, "RESET enable_seqscan")


# ---------- what is not a value

NAN = math.nan
INF = math.inf
COLUMN = {"vector": "vector(3)", "halfvec": "halfvec(3)", "sparsevec": "sparsevec(9)", "bit": "bit(12)"}
GOOD = {"vector": vector([1.0, -2.5, 3.0]), "halfvec": halfvec([1.0, -2.5, 3.0]),
        "sparsevec": sparsevec(9, [(0, 1.0), (7, -2.5)]), "bit": bit("101100111010")}
BAD = {
    "vector": [
        ("nothing", b"", "08P01"), ("half a header", b"\0\3\0", "08P01"), ("cut short", GOOD["vector"][:-1], "08P01"),
        ("a byte too many", GOOD["vector"] + b"\0", "22P03"), ("no dimensions", vector([]), "22000"),
        ("negative dimensions", vector([1.0], dim=-1), "22000"), ("more dimensions than the type has", vector([0.0] * 16001), "54000"),
        ("more dimensions than there are elements", vector([1.0, 2.0], dim=3), "08P01"), ("another header", vector([1.0, 2.0, 3.0], unused=1), "22000"),
        ("other dimensions than the column", vector([1.0, 2.0]), "22000"), ("NaN", vector([1.0, NAN, 2.0]), "22000"),
        ("infinity", vector([INF, 1.0, 2.0]), "22000"), ("minus infinity", vector([1.0, 2.0, -INF]), "22000")],
    "halfvec": [
        ("nothing", b"", "08P01"), ("cut short", GOOD["halfvec"][:-1], "08P01"), ("a byte too many", GOOD["halfvec"] + b"\0", "22P03"),
        ("no dimensions", halfvec([]), "22000"), ("negative dimensions", halfvec([1.0], dim=-32768), "22000"),
        ("more dimensions than the type has", halfvec([0.0] * 16001), "54000"), ("another header", halfvec([1.0, 2.0, 3.0], unused=-1), "22000"),
        ("other dimensions than the column", halfvec([1.0] * 4), "22000"), ("NaN", halfvec([1.0, NAN, 2.0]), "22000"),
        ("infinity", halfvec([INF, 1.0, 2.0]), "22000"), ("minus infinity", halfvec([1.0, 2.0, -INF]), "22000")],
    "sparsevec": [
        ("nothing", b"", "08P01"), ("half a header", b"\0\0\0\3\0\0", "08P01"), ("cut short", GOOD["sparsevec"][:-1], "08P01"),
        ("a byte too many", GOOD["sparsevec"] + b"\0", "22P03"), ("no dimensions", sparsevec(0, []), "22000"),
        ("negative dimensions", sparsevec(-9, []), "22000"), ("more dimensions than the type has", sparsevec(10 ** 9 + 1, []), "54000"),
        ("other dimensions than the column", sparsevec(8, []), "22000"), ("a negative number of elements", sparsevec(9, [], nnz=-1), "22000"),
        ("more elements than the type has", sparsevec(10 ** 6, [(i, 1.0) for i in range(16001)]), "54000"),
        ("more elements than dimensions", sparsevec(1, [(0, 1.0), (1, 1.0)]), "54000"),
        ("more elements than there are", sparsevec(9, [(0, 1.0)], nnz=2), "08P01"), ("another header", sparsevec(9, [(0, 1.0)], unused=1), "22000"),
        ("an index below 0", sparsevec(9, [(-1, 1.0)]), "22000"), ("an index too large", sparsevec(9, [(9, 1.0)]), "22000"),
        ("indices out of order", sparsevec(9, [(3, 1.0), (2, 1.0)]), "22000"), ("an index twice", sparsevec(9, [(3, 1.0), (3, 1.0)]), "22000"),
        ("zero", sparsevec(9, [(3, 0.0)]), "22000"), ("minus zero", sparsevec(9, [(3, -0.0)]), "22000"),
        ("NaN", sparsevec(9, [(3, NAN)]), "22000"), ("infinity", sparsevec(9, [(3, INF)]), "22000")],
    "bit": [
        ("nothing", b"", "08P01"), ("cut short", GOOD["bit"][:-1], "08P01"), ("a byte too many", GOOD["bit"] + b"\0", "22P03"),
        ("a negative length", bit("1", length=-1), "22P03"), ("another length than the column", bit("101"), "22026")],
}


def refused(connection, table, data, classes, sqlstate=None):
    """Copies data in and expects an error of one of the classes; the SQLSTATE, None if there was no error."""
    try:
        copy_in(connection, table, io.BytesIO(data))
    except psycopg2.Error as error:
        if connection.closed:
            raise AssertionError(f"the connection was lost: {error}")
        if error.pgcode is None or error.pgcode[:2] not in classes or sqlstate not in (None, error.pgcode):
            raise AssertionError(f"SQLSTATE {error.pgcode}, not {sqlstate or classes}: {error}")
        return error.pgcode
    if sqlstate is not None:
        raise AssertionError("no error")
    return None


def bad_field(connection, name, data, sqlstate):
    """A row after two good ones: an error, and none of the three is there."""
    refused(connection, f"bad_{name}", stream([(GOOD[name],), (None,), (data,)]), (sqlstate[:2],), sqlstate)
    equal(query(connection, f"SELECT count(*) FROM bad_{name}"), [(0,)], "rows after an error")


# of COPY and its input: 22 data, 08 protocol, 54 a limit
DATA_ERRORS = ("22", "08", "54")


def truncated(connection, name):
    """The stream ends at each of its bytes: an error, or the rows before it if it ends behind one."""
    whole = stream([(GOOD[name],), (GOOD[name],)])
    # PostgreSQL takes a stream without the trailer, or with its first byte
    behind_row = {len(HEADER) + i * len(row((GOOD[name],))) + more for i in range(3) for more in (0, 1)}
    for end in range(len(whole)):
        code = refused(connection, f"bad_{name}", whole[:end], DATA_ERRORS)
        equal(code is None, end in behind_row, f"taken when cut after {end} bytes")
    query(connection, f"TRUNCATE bad_{name}")


def mutated(connection, name, rounds):
    """Random changes: an error of the data, or values that go out as they came and through text unharmed."""
    generator = random.Random(name)
    taken = 0
    for _ in range(rounds):
        data = bytearray(stream([(GOOD[name],), (None,), (GOOD[name],)]))
        for _ in range(generator.choice((1, 1, 2, 4))):
            at = generator.randrange(len(HEADER), len(data))
            if generator.randrange(3):
                data[at] ^= 1 << generator.randrange(8)
            elif generator.randrange(2):
                data[at] = generator.choice((0, 1, 0x7f, 0x80, 0xff))
            else:
                del data[at]
        if refused(connection, f"bad_{name}", bytes(data), DATA_ERRORS) is None:
            taken += 1
    wrong = query(connection, f"SELECT count(*), count(*) FILTER (WHERE e::text::{COLUMN[name]} IS DISTINCT FROM e) FROM bad_{name}")
    equal(wrong[0][1], 0, f"of {wrong[0][0]} values that were taken, different ones")
    assert 0 < taken < rounds, f"{taken} of {rounds} streams were taken"
    query(connection, f"TRUNCATE bad_{name}")


# ---------- text

def text_parameters(connection):
    query(connection, "CREATE TABLE texts (id int, v vector(3), h halfvec(3), s sparsevec(9), b bit(4))")
    values = [(1, "[1,2.5,-3]", "[1,2.5,-3]", "{1:1,9:-2.5}/9", "1010"), (2, None, None, None, None),
              (3, "[0.1,1e-45,3.4028235e+38]", "[0.099975586,5.9604645e-08,65504]", "{2:0.1}/9", "0000")]
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO texts VALUES (%s, %s, %s, %s, %s)", values[0])
        psycopg2.extras.execute_values(cursor, "INSERT INTO texts VALUES %s", values[1:])
    equal(query(connection, "SELECT * FROM texts ORDER BY id"), values, "rows")


def list_parameters(connection):
    """psycopg2 writes a list as ARRAY[...]: the casts from arrays take it."""
    query(connection, "INSERT INTO texts (id, v, h) VALUES (4, %s, %s)", [1, 2, 3], [1.5, 2, 3])
    equal(query(connection, "SELECT v, h, v::real[], %s::vector <-> v FROM texts WHERE id = 4", [1.0, 2.0, 5.0]),
          [("[1,2,3]", "[1.5,2,3]", [1.0, 2.0, 3.0], 2.0)])


def nearest(connection):
    for column, operator, value, expected in [
            ("v", "<->", "[1,2,3]", [4, 1, 3]), ("h", "<=>", "[1,2.5,-3]", [1, 4, 3]),
            ("s", "<#>", "{9:1}/9", [3, 1]), ("b", "<~>", "1110", [1, 3]), ("b", "<%%>", "1010", [1, 3])]:
        rows = query(connection, f"SELECT id FROM texts WHERE {column} IS NOT NULL ORDER BY {column} {operator} %s", value)
        equal([r[0] for r in rows], expected, f"{column} {operator}")


def errors(connection):
    for text, values, code, message in [
            ("INSERT INTO texts (v) VALUES (%s)", ("[1,2]",), "22000", "expected 3 dimensions, not 2"),
            ("INSERT INTO texts (v) VALUES (%s)", ([1, 2],), "22000", "expected 3 dimensions, not 2"),
            ("SELECT v <-> %s FROM texts WHERE id = 1", ("[1,2]",), "22000", "different vector dimensions 3 and 2"),
            ("SELECT %s::vector", ("[1,x]",), "22P02", 'invalid input syntax for type vector: "[1,x]"'),
            ("SELECT %s::halfvec", ("[65520]",), "22003", '"65520" is out of range for type halfvec')]:
        try:
            query(connection, text, *values)
        except psycopg2.DataError as error:
            equal((error.pgcode, error.diag.message_primary), (code, message), "error")
        else:
            raise AssertionError(f"no error: {text}")


def named_cursor(connection):
    """Rows in order of distance, fetched a few at a time by a cursor of the server."""
    connection.autocommit = False
    with connection.cursor("nearest") as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT id, v <-> %s FROM indexed ORDER BY v <-> %s LIMIT 100", (str([1.0] * 40),) * 2)
        rows = list(cursor)
    connection.commit()
    connection.autocommit = True
    equal(len(rows), 100, "rows")
    equal([d for _, d in rows], sorted(d for _, d in rows), "distances")


def main(connection):
    for name, values in special().items():
        test(f"{name}: special values go in and come out", specials_go_and_come, connection, name, values)
    test("a stream of all four types, in pieces", many_stream, connection)
    test("a stream into a table with indexes", indexed_stream, connection)
    for name, bad in BAD.items():
        query(connection, f"CREATE TABLE bad_{name} (e {COLUMN[name]})")
        for what, data, sqlstate in bad:
            test(f"{name}: {what}", bad_field, connection, name, data, sqlstate)
        test(f"{name}: a stream that ends early", truncated, connection, name)
        test(f"{name}: random changes to a stream", mutated, connection, name, 2000)
    test("text parameters", text_parameters, connection)
    test("lists as parameters", list_parameters, connection)
    test("nearest rows", nearest, connection)
    test("errors of text", errors, connection)
    test("a named cursor", named_cursor, connection)


run("vecidx_clients_psycopg2", main)
