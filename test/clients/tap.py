"""What the tests in Python share: TAP, and a database of their own."""
import sys
import traceback

import psycopg2

_tests = 0
_failures = 0


def test(name, body, *arguments):
    """Runs body and writes its line of TAP; what it returns is a reason to skip."""
    global _tests, _failures
    _tests += 1
    try:
        reason = body(*arguments)
        print(f"ok {_tests} - {name}" + (f" # SKIP {reason}" if reason else ""))
    except Exception:
        _failures += 1
        print(f"not ok {_tests} - {name}")
        for line in traceback.format_exc().splitlines()[-20:]:
            print("# " + line[:200])
    sys.stdout.flush()


def equal(got, expected, what="value"):
    if got != expected:
        raise AssertionError(f"{what}: {str(got)[:80]}, not {str(expected)[:80]}")


def _administer(statement):
    connection = psycopg2.connect(dbname="postgres")
    connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()


def run(database, main):
    """Calls main with a connection, in autocommit, to a new database that has the extension."""
    _administer(f"DROP DATABASE IF EXISTS {database}")
    _administer(f"CREATE DATABASE {database}")
    connection = psycopg2.connect(dbname=database)
    connection.autocommit = True
    connection.cursor().execute("CREATE EXTENSION vecidx")
    main(connection)
    connection.close()
    _administer(f"DROP DATABASE {database}")
    print(f"1..{_tests}")
    sys.exit(1 if _failures else 0)
