-- the contract with clients and dumps: names and types as pgvector has them

SELECT p.proname, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result
FROM pg_proc p
WHERE ('halfvec'::regtype IN (p.prorettype) OR 'halfvec'::regtype = ANY (p.proargtypes) OR p.proname LIKE 'halfvec\_%')
	AND EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND extname = 'vecidx'
		WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY p.proname COLLATE "C", pg_get_function_arguments(p.oid) COLLATE "C";

SELECT p.oid::regprocedure FROM pg_proc p
WHERE ('halfvec'::regtype IN (p.prorettype) OR 'halfvec'::regtype = ANY (p.proargtypes) OR p.proname LIKE 'halfvec\_%')
	AND (provolatile <> 'i' OR proparallel <> 's' OR (NOT proisstrict AND prokind = 'f') OR proleakproof);

SELECT typname, typlen, typbyval, typalign, typstorage, typcategory, typispreferred, typdelim FROM pg_type WHERE oid = 'halfvec'::regtype;

-- what vector has, halfvec has: functions but for a name, and operators
SELECT proname, replace(pg_get_function_arguments(oid), 'vector', 'halfvec') FROM pg_proc
WHERE 'vector'::regtype = ANY (proargtypes) AND NOT 'halfvec'::regtype IN (prorettype)
	AND NOT 'halfvec'::regtype = ANY (proargtypes) AND proname !~ '^vector|_to_'
EXCEPT SELECT proname, pg_get_function_arguments(oid) FROM pg_proc WHERE 'halfvec'::regtype = ANY (proargtypes);
SELECT oprname, replace(oprleft::regtype::text, 'vector', 'halfvec'), replace(oprright::regtype::text, 'vector', 'halfvec'), oprcanhash, oprcanmerge, oprrest, oprjoin
FROM pg_operator WHERE 'vector'::regtype IN (oprleft, oprright)
EXCEPT SELECT oprname, oprleft::regtype::text, oprright::regtype::text, oprcanhash, oprcanmerge, oprrest, oprjoin
FROM pg_operator WHERE 'halfvec'::regtype IN (oprleft, oprright);

SELECT amname, opcname, opcdefault, amopopr::regoperator AS operator, amoppurpose AS purpose, amvalidate(c.oid)
FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod JOIN pg_amop o ON amopfamily = opcfamily
WHERE opcintype = 'halfvec'::regtype AND amname = 'hnsw' ORDER BY opcname COLLATE "C";
