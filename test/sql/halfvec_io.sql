-- text, binary and type modifier of the type halfvec; the parser is vector's (vector_io)

SELECT '[1,2,3]'::halfvec, E' [ -1.5,\t+2e1 ,\n 0x1p-2] '::halfvec, '[-0,0]'::halfvec;
-- rounded to half precision, ties to even, and shown as the float that it is
SELECT '[0.1,0.2,0.333333,3.14159,1000.1,-0.7]'::halfvec;
SELECT '[2049,2050,2051,2052,2053,4098,4102]'::halfvec;
-- the ends of the range; what is too small becomes zero
SELECT '[65504,65519,-65519.99]'::halfvec;
SELECT '[6.1035156e-5,6.097555e-5,5.9604645e-8,2.98023225e-8,2.9802323e-8,1e-8,-1e-8,1e-46]'::halfvec;
SELECT '[65520]'::halfvec;
SELECT '[1,-65520]'::halfvec;
SELECT '[4e38,1]'::halfvec;
SELECT '[1e99999]'::halfvec;
SELECT '[NaN,1]'::halfvec;
SELECT '[1,Infinity]'::halfvec;
SELECT ''::halfvec;
SELECT '{1,2}'::halfvec;
SELECT '[]'::halfvec;
SELECT '[1,]'::halfvec;
SELECT '[1a]'::halfvec;
SELECT '[1'::halfvec;
SELECT '[1]x'::halfvec;
\set VERBOSITY sqlstate
SELECT '[65520]'::halfvec;
SELECT '[1'::halfvec;
SELECT '[nan]'::halfvec;
\set VERBOSITY default

-- every finite half comes back from text, from binary and from a vector
CREATE TABLE every AS
SELECT h, CASE WHEN h & 31744 = 0 THEN (h & 1023) * 2::float8 ^ -24
	ELSE (1024 + (h & 1023)) * 2::float8 ^ ((h >> 10) % 32 - 25) END * CASE WHEN h >= 32768 THEN -1 ELSE 1 END AS value
FROM generate_series(0, 65535) h WHERE h & 31744 <> 31744;
SELECT count(*) FROM every;
SELECT count(*) FROM every WHERE halfvec_send(format('[%s]', value::real)::halfvec) <> ('\x00010000' || lpad(to_hex(h), 4, '0'))::bytea;
SELECT count(*) FROM every WHERE (ARRAY[value]::halfvec)::real[] <> ARRAY[value]::real[]
	OR ARRAY[value]::halfvec::text::halfvec <> ARRAY[value]::halfvec OR ARRAY[value]::vector::halfvec::vector <> ARRAY[value]::vector;
DROP TABLE every;

-- 16,000 dimensions and no more
SELECT vector_dims(('[' || repeat('0,', 15999) || '7]')::halfvec);
SELECT ('[' || repeat('0,', 16000) || '7]')::halfvec;

-- type modifier
SELECT '[1,2,3]'::halfvec(3);
SELECT '[1,2,3]'::halfvec(2);
SELECT '[1]'::halfvec(0);
SELECT '[1]'::halfvec(16001);
SELECT '[1]'::halfvec(1, 2);
CREATE TABLE io (id int, v halfvec(3));
SELECT format_type(atttypid, atttypmod), attstorage FROM pg_attribute WHERE attrelid = 'io'::regclass AND attname = 'v';
INSERT INTO io VALUES (1, '[1,2,3]'), (2, NULL);
INSERT INTO io VALUES (3, '[1,2]');
COPY io FROM STDIN;
4	[4,5]
\.
SELECT * FROM io ORDER BY id;
ALTER TABLE io ALTER v TYPE vector(3);
ALTER TABLE io ALTER v TYPE halfvec(2);
DROP TABLE io;

-- bytes on the wire: dimensions and a zero as int16, then the halves
SELECT halfvec_send('[1,-2.5]'), halfvec_send('[-0,5.9604645e-8,65504]');
SELECT pg_column_size('[1,2,3]'::halfvec);
CREATE TABLE wire (v halfvec);
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\010\000\002\000\000\074\000\301\000\377\377"' WITH (FORMAT binary)
SELECT * FROM wire;
-- no dimension
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\004\000\000\000\000\377\377"' WITH (FORMAT binary)
-- 16,000 dimensions announced, one sent
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\006\076\200\000\000\074\000\377\377"' WITH (FORMAT binary)
-- half an element
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\005\000\001\000\000\074\377\377"' WITH (FORMAT binary)
-- one element too many
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\010\000\001\000\000\074\000\074\000\377\377"' WITH (FORMAT binary)
-- the unused bits used
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\006\000\001\000\001\074\000\377\377"' WITH (FORMAT binary)
-- NaN and infinity
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\006\000\001\000\000\176\000\377\377"' WITH (FORMAT binary)
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\006\000\001\000\000\374\000\377\377"' WITH (FORMAT binary)
-- a signalling NaN as well
\copy wire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\006\000\001\000\000\174\001\377\377"' WITH (FORMAT binary)
SELECT * FROM wire;
DROP TABLE wire;
