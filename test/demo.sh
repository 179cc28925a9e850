#!/bin/sh
# demo.sh: a tour of vecidx on a private server, on a fresh Debian 12 or 13.
#
#   sh test/demo.sh [--psql]
#
# Builds vecidx, starts a server in a temporary directory, turns the
# descriptions of PostgreSQL's own functions into vectors, indexes them and asks
# a few questions in words.  Everything is removed at the end; with --psql you
# get a psql before that.  Missing packages are installed through apt-get (as
# root or with sudo).  PG_CONFIG chooses the PostgreSQL.
set -u
prog=demo.sh
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
. "$root/test/lib.sh"

psql=no
for arg in "$@"; do
	case $arg in
		--psql) psql=yes ;;
		*)
			sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0" >&2
			exit 2
			;;
	esac
done

# step TEXT COMMAND...: say what happens, do it, show the log only on failure.
step()
{
	say "$1"
	shift
	run "$work/log/step" "$@" || {
		tail -n 40 "$work/log/step" >&2
		die "that failed"
	}
}

# sql: SQL from standard input, shown as a user of psql sees it.
sql()
{
	$as_user psql -XqAt -v ON_ERROR_STOP=1 -d demo -P pager=off "$@" || die "that failed"
}

heading()
{
	say ""
	say "== $1"
	say ""
}

make_work
choose_postgres
need_packages gcc libc6-dev make libsimde-dev $pg_packages
enter_work
copy_tree
copy_postgres
step "Building vecidx for $("$PG_CONFIG" --version) ..." \
	make -j"$jobs" -C "$work/tree" PG_CONFIG="$PG_CONFIG" with_llvm=no
step "Installing it into a private copy of PostgreSQL ..." \
	make -C "$work/tree" install DESTDIR="$work/pg" PG_CONFIG="$PG_CONFIG" with_llvm=no
say "Starting a server in $work ..."
start_server
$as_user createdb demo

heading "Text into vectors, in SQL"
say "The descriptions of PostgreSQL's functions become vectors of 256 dimensions: each word stem and"
say "each run of four letters is hashed to a dimension and a sign, and counts the more the rarer it is."
say ""
sql <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION vecidx;

CREATE TABLE functions (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, signature text, description text, v vector(256));

INSERT INTO functions (name, signature, description)
SELECT p.proname, p.oid::regprocedure::text, coalesce(o.description, d.description)
FROM pg_proc p JOIN pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_proc'::regclass
	 -- "implementation of + operator" says little: the operator's own description says more
	 LEFT JOIN LATERAL (SELECT obj_description(oid, 'pg_operator') FROM pg_operator
						WHERE oprcode = p.oid AND d.description LIKE 'implementation of %' LIMIT 1) o (description) ON true
WHERE p.pronamespace = 'pg_catalog'::regnamespace AND d.description <> 'I/O'
ORDER BY p.oid;

-- Word stems without stop words, and the runs of four letters in them with the ends marked.
CREATE FUNCTION features(t text) RETURNS TABLE (feature text, factor float8) LANGUAGE sql IMMUTABLE AS $$
	SELECT x.*
	FROM unnest(tsvector_to_array(to_tsvector('english', replace(t, '_', ' ')))) w,
		 LATERAL (SELECT '=' || w, 1.0 UNION ALL
				  SELECT substr('<' || w || '>', i, 4), 1 / sqrt(length(w)) FROM generate_series(1, length(w) - 1) i) x
$$;

CREATE TABLE weights AS
SELECT feature, ln((SELECT count(*) FROM functions)::float8 / count(DISTINCT id)) AS weight
FROM functions, features(name || ' ' || description) GROUP BY feature;
CREATE UNIQUE INDEX ON weights (feature);

CREATE FUNCTION embed(t text) RETURNS vector LANGUAGE sql STABLE AS $$
	SELECT l2_normalize(array_agg(coalesce(x, 0) ORDER BY d)::real[]::vector(256))
	FROM generate_series(0, 255) d LEFT JOIN
		 (SELECT (hashtextextended(feature, 1) & 255)::int AS d,
				 sum(factor * weight * CASE WHEN hashtextextended(feature, 2) & 1 = 0 THEN 1 ELSE -1 END) AS x
		  FROM features(t) JOIN weights USING (feature) GROUP BY 1) s USING (d)
$$;

UPDATE functions SET v = embed(name || ' ' || description);
VACUUM (ANALYZE, FULL) functions;
SELECT count(*) || ' functions, for example:' FROM functions;
SELECT '  ' || signature || ': ' || description || E'\n  ' || left(v::text, 70) || '...'
FROM functions WHERE signature = 'lower(text)';
SQL

heading "An index"
sql <<'SQL'
\set ECHO queries
CREATE INDEX functions_v ON functions USING hnsw (v vector_cosine_ops);
\set ECHO none
SELECT 'It takes ' || pg_size_pretty(pg_relation_size('functions_v')) || '; the vectors themselves take '
	   || pg_size_pretty(sum(pg_column_size(v))) || '.' FROM functions;
SELECT 'vecidx_check(''functions_v'', true) finds ' || count(*) || ' problems.' FROM vecidx_check('functions_v', true);

CREATE FUNCTION ask(question text, n int DEFAULT 5)
RETURNS TABLE (distance numeric, function text, description text) LANGUAGE sql STABLE AS $$
	SELECT round((v <=> e)::numeric, 3), left(f.signature, 34), left(f.description, 50)
	FROM (SELECT embed(question) AS e OFFSET 0) q, LATERAL
		 (SELECT * FROM functions ORDER BY v <=> e LIMIT n) f
$$;
SQL

heading "Questions in words"
for question in "how to round a number" "what is the current date and time" "how much disk space does a table take" \
	"the length of a string" "a random number"; do
	say "\"$question\""
	sql -P format=aligned -P border=1 -P footer=off -P tuples_only=off -v question="$question" <<'SQL'
SELECT * FROM ask(:'question');
SQL
done

heading "The plan"
sql <<'SQL'
\set ECHO queries
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)
SELECT signature FROM functions ORDER BY v <=> embed('how to round a number') LIMIT 5;
SQL

heading "Recall against exact search: 100 rows as queries, 10 neighbours each"
sql -P format=aligned -P border=1 -P footer=off -P tuples_only=off <<'SQL'
SET client_min_messages = warning;
CREATE TEMP TABLE queries AS SELECT id, v FROM functions ORDER BY hashint4(id) LIMIT 100;
SET enable_indexscan = off;
CREATE TEMP TABLE truth AS
SELECT q.id, ARRAY(SELECT f.v <=> q.v FROM functions f ORDER BY f.v <=> q.v LIMIT 10) AS d FROM queries q;
SET enable_indexscan = on;
SET enable_seqscan = off;
CREATE TEMP TABLE found (ef int, id int, d float8[]);
DO $$
DECLARE ef int;
BEGIN
	FOREACH ef IN ARRAY ARRAY[10, 40, 200] LOOP
		PERFORM set_config('hnsw.ef_search', ef::text, false);
		INSERT INTO found
		SELECT ef, q.id, ARRAY(SELECT f.v <=> q.v FROM functions f ORDER BY f.v <=> q.v LIMIT 10) FROM queries q;
	END LOOP;
END $$;
-- A row as near as the tenth true neighbour counts as found.
SELECT ef AS "hnsw.ef_search",
	   round(avg((SELECT count(*) FROM unnest(f.d) x WHERE x <= t.d[10])) / 10, 3) AS "recall@10"
FROM found f JOIN truth t USING (id) GROUP BY ef ORDER BY ef;
SQL

if [ $psql = yes ]; then
	heading "psql, on this server; \\q ends it and removes everything"
	say "Try:  SELECT * FROM ask('how to sort an array');"
	say "      SELECT * FROM ask('something with dates', 20);"
	say "      \\d functions"
	say ""
	trap : INT
	$as_user psql -X -d demo
	trap 'exit 130' INT
else
	say "Done; everything is removed. With --psql you can ask questions of your own."
fi
exit 0
