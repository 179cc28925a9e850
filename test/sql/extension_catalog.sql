-- Everything that the extension declares: the contract with clients, dumps and
-- upgrades.  Names, types, volatility, strictness, parallel safety, casts and
-- operator classes are pgvector's but for what docs/pgvector-compatibility.md lists.
\pset format unaligned
\pset tuples_only on

CREATE TEMP VIEW members AS
SELECT classid, objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND extname = 'vecidx';

-- kinds of objects
SELECT DISTINCT classid::regclass::text COLLATE "C" FROM members ORDER BY 1;

-- types; those of their arrays are members from PostgreSQL 17 on
SELECT format('%s length %s by value %s align %s storage %s category %s preferred %s delimiter %s', typname, typlen, typbyval,
	typalign, typstorage, typcategory, typispreferred, typdelim),
	format(E'\n\t%s %s %s %s %s %s %s %s', typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typsubscript)
FROM pg_type JOIN members ON classid = 'pg_type'::regclass AND objid = oid AND typcategory <> 'A'
ORDER BY typname COLLATE "C";

-- functions
SELECT format('%s returns %s%s', p.oid::regprocedure, CASE WHEN proretset THEN 'setof ' END, format_type(prorettype, NULL)),
	CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
	CASE WHEN proisstrict THEN 'strict' ELSE 'called on null' END,
	CASE proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END,
	'cost ' || procost, nullif(prosupport, 0)::regproc, CASE WHEN proleakproof THEN 'leakproof' END
FROM pg_proc p JOIN members ON classid = 'pg_proc'::regclass AND objid = oid
WHERE prokind = 'f'
ORDER BY p.oid::regprocedure::text COLLATE "C";

-- functions that share their C code
SELECT prosrc, array_agg(p.oid::regprocedure ORDER BY p.oid::regprocedure::text COLLATE "C")
FROM pg_proc p JOIN members ON classid = 'pg_proc'::regclass AND objid = oid
WHERE prokind = 'f'
GROUP BY prosrc HAVING count(*) > 1
ORDER BY prosrc COLLATE "C";

-- aggregates
SELECT format('%s: transition %s, type %s, final %s, combine %s, initial %s, parallel %s', aggfnoid::regprocedure, aggtransfn,
	format_type(aggtranstype, NULL), aggfinalfn, aggcombinefn, agginitval, proparallel)
FROM pg_aggregate JOIN pg_proc p ON p.oid = aggfnoid JOIN members ON classid = 'pg_proc'::regclass AND objid = p.oid
ORDER BY aggfnoid::regprocedure::text COLLATE "C";

-- operators
SELECT format('%s by %s returns %s', o.oid::regoperator, proname, format_type(oprresult, NULL)),
	'commutator ' || nullif(oprcom, 0)::regoperator, 'negator ' || nullif(oprnegate, 0)::regoperator,
	nullif(oprrest, 0)::regproc, nullif(oprjoin, 0)::regproc,
	concat_ws(' ', CASE WHEN oprcanhash THEN 'hashes' END, CASE WHEN oprcanmerge THEN 'merges' END)
FROM pg_operator o JOIN members ON classid = 'pg_operator'::regclass AND objid = o.oid JOIN pg_proc p ON p.oid = oprcode
ORDER BY o.oid::regoperator::text COLLATE "C";

-- casts
SELECT format('%s to %s by %s', format_type(castsource, NULL), format_type(casttarget, NULL), castfunc::regprocedure),
	CASE castcontext WHEN 'i' THEN 'implicit' WHEN 'a' THEN 'assignment' ELSE 'explicit' END
FROM pg_cast c JOIN members ON classid = 'pg_cast'::regclass AND objid = c.oid
ORDER BY format_type(castsource, NULL) COLLATE "C", format_type(casttarget, NULL) COLLATE "C";

-- access methods
SELECT amname, amtype, amhandler FROM pg_am a JOIN members ON classid = 'pg_am'::regclass AND objid = a.oid ORDER BY amname COLLATE "C";

-- operator classes, their operators and their support functions
SELECT amname, opcname, format_type(opcintype, NULL), CASE WHEN opcdefault THEN 'default' END,
	(SELECT string_agg(format('%s %s%s', amopstrategy, amopopr::regoperator, CASE amoppurpose WHEN 'o' THEN ' order by ' || s.opfname END), ', '
		ORDER BY amopstrategy, amoprighttype::regtype::text COLLATE "C")
	FROM pg_amop LEFT JOIN pg_opfamily s ON s.oid = amopsortfamily WHERE amopfamily = opcfamily),
	(SELECT string_agg(format('%s %s', amprocnum, amproc::regprocedure), ', ' ORDER BY amprocnum) FROM pg_amproc WHERE amprocfamily = opcfamily),
	CASE WHEN NOT amvalidate(c.oid) THEN 'not valid' END
FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod JOIN members ON classid = 'pg_opclass'::regclass AND objid = c.oid
ORDER BY amname COLLATE "C", opcname COLLATE "C";
