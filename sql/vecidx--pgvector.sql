-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION vecidx VERSION 'pgvector'" to load this file. \quit

/*
 * This version has no objects: those that it is to take over belong to the
 * extension "vector" until ALTER EXTENSION vecidx UPDATE.  They stay in their
 * schema, so vecidx's is the same.  Nothing here loads vecidx's library, which
 * pgvector's cannot be in one session with.
 */
UPDATE pg_catalog.pg_depend d
	SET refobjid = vector.extnamespace
	FROM pg_catalog.pg_extension vector, pg_catalog.pg_extension vecidx
	WHERE vector.extname OPERATOR(pg_catalog.=) 'vector' AND vecidx.extname OPERATOR(pg_catalog.=) 'vecidx' AND
		d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass AND
		d.objid OPERATOR(pg_catalog.=) vecidx.oid AND
		d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass;

UPDATE pg_catalog.pg_extension vecidx
	SET extnamespace = vector.extnamespace
	FROM pg_catalog.pg_extension vector
	WHERE vector.extname OPERATOR(pg_catalog.=) 'vector' AND vecidx.extname OPERATOR(pg_catalog.=) 'vecidx';
