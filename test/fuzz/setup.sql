-- The driver's functions, and what there is to call.

CREATE FUNCTION fuzz_run(f regprocedure, seed bigint, first bigint, calls bigint, damaged boolean,
	OUT accepted bigint, OUT rejected bigint, OUT ns double precision, OUT slowest_ms double precision, OUT states text)
	AS 'vecidx_fuzz' LANGUAGE C STRICT;

CREATE FUNCTION fuzz_describe(f regprocedure, seed bigint, call bigint, damaged boolean) RETURNS text
	AS 'vecidx_fuzz' LANGUAGE C STRICT;

CREATE FUNCTION fuzz_value(type anyelement, seed bigint, n bigint) RETURNS anyelement
	AS 'vecidx_fuzz' LANGUAGE C;

/*
 * Every C function of the extension.  What takes or gives "internal" cannot
 * be called from SQL: the server refuses.  Receive functions are the exception,
 * as the protocol calls them with bytes of the client's.
 */
CREATE VIEW fuzz_functions AS
	SELECT p.oid::regprocedure AS f, p.proretset AS returns_set,
		p.oid IN (SELECT typreceive FROM pg_type) AS receives,
		'internal'::regtype = ANY (p.proargtypes) OR p.prorettype = 'internal'::regtype AS internal,
		p.proisstrict AS strict,
		EXISTS (SELECT FROM pg_type t JOIN unnest(p.proargtypes) a ON t.oid = a
			WHERE t.typname IN ('vector', 'halfvec', 'sparsevec')) AS takes_own
	FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'c'
		JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
		JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'vecidx';

-- those that fuzz_run() takes; the few that are not strict (vector_within and its kin) do not look at what they are given
CREATE VIEW fuzz_targets AS
	SELECT * FROM fuzz_functions WHERE NOT returns_set AND strict AND (receives OR NOT internal);

-- fuzz_run() as a line of run.sh's table
CREATE FUNCTION fuzz_line(f regprocedure, seed bigint, calls bigint, damaged boolean) RETURNS text
	LANGUAGE sql
	RETURN (SELECT format('%s %s %s %s  %s', lpad(accepted::text, 11), lpad(rejected::text, 10),
			lpad((ns / 1000)::numeric(10, 1)::text, 9), lpad(slowest_ms::numeric(10, 1)::text, 11),
			f || CASE WHEN damaged THEN ', damaged values' ELSE '' END || CASE states WHEN '' THEN '' ELSE '  ' || states END)
		FROM fuzz_run(f, seed, 0, calls, damaged));
