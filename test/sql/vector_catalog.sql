-- the contract with clients and dumps: names and types as pgvector has them

SELECT p.proname, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result
FROM pg_proc p
WHERE ('vector'::regtype IN (p.prorettype) OR 'vector'::regtype = ANY (p.proargtypes) OR p.proname LIKE 'vector\_%')
	AND EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND extname = 'vecidx'
		WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY p.proname COLLATE "C", pg_get_function_arguments(p.oid) COLLATE "C";

-- all are immutable, strict (but for the aggregates) and parallel safe
SELECT p.oid::regprocedure FROM pg_proc p
WHERE ('vector'::regtype IN (p.prorettype) OR 'vector'::regtype = ANY (p.proargtypes) OR p.proname LIKE 'vector\_%')
	AND (provolatile <> 'i' OR proparallel <> 's' OR (NOT proisstrict AND prokind = 'f') OR proleakproof);

SELECT typname, typlen, typbyval, typalign, typstorage, typcategory, typispreferred, typdelim FROM pg_type WHERE oid = 'vector'::regtype;

SELECT amname, opcname, opcdefault, amopopr::regoperator AS operator, amoppurpose AS purpose
FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod JOIN pg_amop o ON amopfamily = opcfamily
WHERE opcintype = 'vector'::regtype AND amname = 'hnsw' ORDER BY opcname COLLATE "C";
