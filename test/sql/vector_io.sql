-- text, binary and type modifier of the type vector

-- what is taken
SELECT '[1,2,3]'::vector;
SELECT '[-1,-2.5,+3]'::vector;
SELECT '[1.,.5,-.25]'::vector;
SELECT E' [ 1,\t2 ,\n 3\r\x0b\f] '::vector;
SELECT '[1e3,1E-3,-1.5e+2]'::vector;
SELECT '[0x10,0x1p-2]'::vector;
SELECT '[-0,0,-0.0]'::vector;
SELECT '[00012,000.5,1000000000000000000000,0.00000000000000000000001]'::vector;
-- more digits than any float has, and exactly between two floats
SELECT '[0.1000000000000000055511151231257827,16777217,16777219,1.00000005960464477539062500001]'::vector;
-- the ends of the range; what is too small becomes zero
SELECT '[3.4028235e38,-3.4028235e38]'::vector;
SELECT '[1.1754944e-38,1e-45,-1e-45]'::vector;
SELECT '[1e-46,-1e-46,1e-999999999]'::vector;

-- shortest text that reads back as the same float
SELECT '[0.1,0.2,0.3,1e20,1e-7,123456.789]'::vector;
SELECT v::text::vector = v FROM (SELECT '[0.1,3.4028235e38,1e-45,-16777216]'::vector AS v) s;

-- what is not
SELECT ''::vector;
SELECT '   '::vector;
SELECT '1,2,3'::vector;
SELECT '{1,2,3}'::vector;
SELECT '['::vector;
SELECT '[ '::vector;
SELECT '[]'::vector;
SELECT '[ ]'::vector;
SELECT '[,]'::vector;
SELECT '[1,]'::vector;
SELECT '[1,,3]'::vector;
SELECT '[1, ,3]'::vector;
SELECT '[1 2]'::vector;
SELECT '[1'::vector;
SELECT '[1,2,3'::vector;
SELECT '[hello,1]'::vector;
SELECT '[1a]'::vector;
SELECT '[1e]'::vector;
SELECT '[1e+]'::vector;
SELECT '[1.2.3]'::vector;
SELECT '[-]'::vector;
SELECT '[.]'::vector;
SELECT '[--1]'::vector;
SELECT '[1,2,3]9'::vector;
SELECT '[1][2]'::vector;
SELECT '[[1]]'::vector;
SELECT '[1,NaN]'::vector;
SELECT '[1,2,-Infinity]'::vector;
SELECT '[inf]'::vector;
SELECT '[4e38,1]'::vector;
SELECT '[1,-4e38]'::vector;
SELECT '[1e99999]'::vector;
SELECT '[340282356779733661637539395458142568448]'::vector;

-- the same by SQLSTATE
\set VERBOSITY sqlstate
SELECT '[1'::vector;
SELECT '[]'::vector;
SELECT '[nan]'::vector;
SELECT '[4e38]'::vector;
SELECT '[1,2]'::vector(3);
\set VERBOSITY default

-- 16,000 dimensions and no more
SELECT vector_dims(('[' || repeat('0,', 15999) || '7]')::vector);
SELECT length((('[' || repeat('0,', 15999) || '7]')::vector)::text);
SELECT ('[' || repeat('0,', 16000) || '7]')::vector;

-- type modifier
SELECT '[1,2,3]'::vector(3);
SELECT '[1,2,3]'::vector(2);
SELECT '{"[1,2,3]"}'::vector(2)[];
SELECT '[1]'::vector(0);
SELECT '[1]'::vector(-1);
SELECT '[1]'::vector(16001);
SELECT '[1]'::vector(1, 2);
SELECT '[1]'::vector('a');
CREATE TABLE io (id int, v vector(3));
SELECT format_type(atttypid, atttypmod), attstorage FROM pg_attribute WHERE attrelid = 'io'::regclass AND attname = 'v';
INSERT INTO io VALUES (1, '[1,2,3]'), (2, NULL);
INSERT INTO io VALUES (3, '[1,2]');
INSERT INTO io SELECT 3, ARRAY[1,2];
COPY io FROM STDIN;
4	[4,5,6]
5	[4,5]
\.
COPY io FROM STDIN;
4	[4,5,6]
\.
SELECT * FROM io ORDER BY id;
ALTER TABLE io ALTER v TYPE vector(2);
ALTER TABLE io ALTER v TYPE vector;
INSERT INTO io VALUES (5, '[1]');
DROP TABLE io;

-- bad text is reported softly where PostgreSQL has soft errors (16 and later)
SELECT current_setting('server_version_num')::int >= 160000 AS soft \gset
\if :soft
SELECT string_agg(pg_input_is_valid(t, 'vector(2)')::text, ' ') AS valid
FROM unnest(ARRAY['[1,2]', '[1,2', '1,2', '{1,2}', '[]', '[1,x]', '[1 2]', '[1,2]x', '[1,nan]', '[1,inf]', '[1,1e39]', '[1,2,3]',
	'[' || repeat('0,', 16000) || '7]']) t \gset
\else
\set valid 'true false false false false false false false false false false false false'
\endif
\echo :valid

-- bytes on the wire: dimensions and a zero as int16, then float4s
SELECT vector_send('[1,-2.5]');
SELECT vector_send('[-0,1e-45]');

-- and back, by COPY: signature, flags, extension; one row of one field; the end
CREATE TABLE wire (v vector);
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\014\000\002\000\000\077\200\000\000\300\040\000\000\377\377"' WITH (FORMAT binary)
SELECT * FROM wire;
-- no dimension
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\004\000\000\000\000\377\377"' WITH (FORMAT binary)
-- -1 dimensions
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\004\377\377\000\000\377\377"' WITH (FORMAT binary)
-- 16,001 dimensions
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\004\076\201\000\000\377\377"' WITH (FORMAT binary)
-- 16,000 dimensions announced, one sent
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\010\076\200\000\000\077\200\000\000\377\377"' WITH (FORMAT binary)
-- half an element
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\006\000\001\000\000\077\200\377\377"' WITH (FORMAT binary)
-- nothing at all
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\000\377\377"' WITH (FORMAT binary)
-- one element too many
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\014\000\001\000\000\077\200\000\000\077\200\000\000\377\377"' WITH (FORMAT binary)
-- the unused bits used
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\010\000\001\000\001\077\200\000\000\377\377"' WITH (FORMAT binary)
-- NaN and infinity
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\010\000\001\000\000\177\300\000\000\377\377"' WITH (FORMAT binary)
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\010\000\001\000\000\377\200\000\000\377\377"' WITH (FORMAT binary)
-- not what the column declares
ALTER TABLE wire ALTER v TYPE vector(2);
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\010\000\001\000\000\077\200\000\000\377\377"' WITH (FORMAT binary)
SELECT * FROM wire;
DROP TABLE wire;
