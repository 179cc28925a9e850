-- text, binary and type modifier of the type sparsevec

-- what is taken; indices count from 1, come in any order and go out in theirs; zeros are left out
SELECT '{1:1.5,3:3.5}/5'::sparsevec;
SELECT '{3:3.5,1:-1.5,2:+2}/5'::sparsevec;
SELECT E' {\t1 : 1.5 ,\n 3 :\r3.5\x0b}\f/ 5 '::sparsevec;
SELECT '{}/5'::sparsevec, ' { } / 5 '::sparsevec;
SELECT '{1:0,2:1,3:-0.0,4:0e9,5:0x0p9}/5'::sparsevec;
SELECT '{1:1e3,2:1E-3,3:.5,4:2.,5:0x10,+6:7,007:8}/7'::sparsevec;
SELECT '{1:3.4028235e38,2:-1e-45,1000000000:1}/1000000000'::sparsevec;
-- shortest text that reads back as the same number
SELECT '{1:0.1,2:123456.789,3:1e20,4:16777217}/4'::sparsevec;

-- what is not
SELECT ''::sparsevec;
SELECT '1:1'::sparsevec;
SELECT '[1,2]'::sparsevec;
SELECT '{'::sparsevec;
SELECT '{1'::sparsevec;
SELECT '{1:'::sparsevec;
SELECT '{1:1'::sparsevec;
SELECT '{1:1,'::sparsevec;
SELECT '{1:1}'::sparsevec;
SELECT '{1:1}5'::sparsevec;
SELECT '{1:1}/'::sparsevec;
SELECT '{1:1}/x'::sparsevec;
SELECT '{1:1}/5x'::sparsevec;
SELECT '{1:1}/5.5'::sparsevec;
SELECT '{1:1,}/5'::sparsevec;
SELECT '{,1:1}/5'::sparsevec;
SELECT '{1:1,,2:2}/5'::sparsevec;
SELECT '{1:1 2:2}/5'::sparsevec;
SELECT '{1:1;2:2}/5'::sparsevec;
SELECT '{1}/5'::sparsevec;
SELECT '{1:}/5'::sparsevec;
SELECT '{:1}/5'::sparsevec;
SELECT '{1:a}/5'::sparsevec;
SELECT '{1:1a}/5'::sparsevec;
SELECT '{a:1}/5'::sparsevec;
SELECT '{1.5:1}/5'::sparsevec;
SELECT '{1:NaN}/5'::sparsevec;
SELECT '{3:1,2:-Infinity}/5'::sparsevec;
SELECT '{1:4e38}/5'::sparsevec;
SELECT '{1:1e-46}/5'::sparsevec;
SELECT '{1:0x0.0000001p-200}/5'::sparsevec;
-- indices
SELECT '{0:1}/5'::sparsevec;
SELECT '{6:1}/5'::sparsevec;
SELECT '{-1:1}/5'::sparsevec;
SELECT '{2147483647:1}/5'::sparsevec;
SELECT '{99999999999999999999:1}/5'::sparsevec;
SELECT '{-2147483648:1}/5'::sparsevec;
SELECT '{-99999999999999999999:1}/5'::sparsevec;
SELECT '{2:1,1:1,2:3}/5'::sparsevec;
-- dimensions
SELECT '{}/0'::sparsevec;
SELECT '{}/-1'::sparsevec;
SELECT '{}/1000000001'::sparsevec;
SELECT '{}/99999999999999999999'::sparsevec;

-- the same by SQLSTATE
\set VERBOSITY sqlstate
SELECT '{1'::sparsevec;
SELECT '{}/0'::sparsevec;
SELECT '{}/1000000001'::sparsevec;
SELECT '{1:nan}/2'::sparsevec;
SELECT '{1:4e38}/2'::sparsevec;
SELECT '{3:1}/2'::sparsevec;
SELECT '{1:1,1:1}/2'::sparsevec;
SELECT '{1:1}/2'::sparsevec(3);
\set VERBOSITY default

-- 16,000 elements and no more; zeros do not count
SELECT length(s::text), left(s::text, 20), s::text::sparsevec = s AS same
FROM (SELECT ('{' || string_agg(i * 7 || ':' || i, ',' ORDER BY i DESC) || '}/200000')::sparsevec FROM generate_series(1, 16000) i) t (s);
SELECT ('{' || string_agg(i || ':' || i, ',') || '}/200000')::sparsevec FROM generate_series(1, 16001) i;
SELECT length((('{' || string_agg(i || ':' || i % 2, ',') || '}/200000')::sparsevec)::text) FROM generate_series(1, 20000) i;

-- type modifier
SELECT '{1:1}/3'::sparsevec(3);
SELECT '{1:1}/3'::sparsevec(2);
SELECT '{"{1:1}/3"}'::sparsevec(2)[];
SELECT '{1:1}/3'::sparsevec(0);
SELECT '{1:1}/3'::sparsevec(-1);
SELECT '{1:1}/3'::sparsevec(1000000001);
SELECT '{1:1}/3'::sparsevec(3, 2);
SELECT '{1:1}/3'::sparsevec('a');
CREATE TABLE sio (id int, v sparsevec(3));
SELECT format_type(atttypid, atttypmod), attstorage FROM pg_attribute WHERE attrelid = 'sio'::regclass AND attname = 'v';
INSERT INTO sio VALUES (1, '{1:1,3:3}/3'), (2, NULL);
INSERT INTO sio VALUES (3, '{1:1}/4');
INSERT INTO sio SELECT 3, ARRAY[1,2];
COPY sio FROM STDIN;
4	{2:5}/3
5	{2:5}/4
\.
COPY sio FROM STDIN;
4	{2:5}/3
\.
SELECT * FROM sio ORDER BY id;
ALTER TABLE sio ALTER v TYPE sparsevec(2);
ALTER TABLE sio ALTER v TYPE sparsevec;
INSERT INTO sio VALUES (5, '{}/1');
DROP TABLE sio;

-- bad text is reported softly where PostgreSQL has soft errors (16 and later)
SELECT current_setting('server_version_num')::int >= 160000 AS soft \gset
\if :soft
SELECT string_agg(pg_input_is_valid(t, 'sparsevec(2)')::text, ' ') AS valid
FROM unnest(ARRAY['{1:1}/2', '{1:1', '1:1', '[1,2]', '{1:1}/2x', '{1:1}', '{1:1}/', '{1:x}/2', '{1:nan}/2', '{1:inf}/2', '{1:1e39}/2', '{1:1e-99}/2',
	'{1:1}/3', '{3:1}/2', '{1:1,1:1}/2', '{}/0', '{}/1000000001', '{' || repeat('1:1,', 16000) || '1:1}/2']) t \gset
\else
\set valid 'true false false false false false false false false false false false false false false false false false'
\endif
\echo :valid

-- bytes on the wire: dimensions, elements and a zero, then indices from 0, then float4s
SELECT sparsevec_send('{2:1,5:-2.5}/7');
SELECT sparsevec_send('{}/1000000000');

-- and back, by COPY: signature, flags, extension; one row of one field; the end
CREATE TABLE swire (v sparsevec);
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\034\000\000\000\007\000\000\000\002\000\000\000\000\000\000\000\001\000\000\000\004\077\200\000\000\300\040\000\000\377\377"' WITH (FORMAT binary)
SELECT * FROM swire;
-- no dimension
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\014\000\000\000\000\000\000\000\000\000\000\000\000\377\377"' WITH (FORMAT binary)
-- -1 dimensions
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\014\377\377\377\377\000\000\000\000\000\000\000\000\377\377"' WITH (FORMAT binary)
-- 1,000,000,001 dimensions
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\014\073\232\312\001\000\000\000\000\000\000\000\000\377\377"' WITH (FORMAT binary)
-- -1 elements
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\014\000\000\000\007\377\377\377\377\000\000\000\000\377\377"' WITH (FORMAT binary)
-- 16,001 elements; 2^29, of which 8 bytes each make 2^32
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\014\073\232\312\000\000\000\076\201\000\000\000\000\377\377"' WITH (FORMAT binary)
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\014\073\232\312\000\040\000\000\000\000\000\000\000\377\377"' WITH (FORMAT binary)
-- more elements than dimensions
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\014\000\000\000\001\000\000\000\002\000\000\000\000\377\377"' WITH (FORMAT binary)
-- two elements announced, one sent; half an element; no head; one too many
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\024\000\000\000\007\000\000\000\002\000\000\000\000\000\000\000\001\077\200\000\000\377\377"' WITH (FORMAT binary)
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\022\000\000\000\007\000\000\000\001\000\000\000\000\000\000\000\001\077\200\377\377"' WITH (FORMAT binary)
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\000\377\377"' WITH (FORMAT binary)
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\030\000\000\000\007\000\000\000\001\000\000\000\000\000\000\000\001\077\200\000\000\000\000\000\000\377\377"' WITH (FORMAT binary)
-- the unused bits used
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\014\000\000\000\007\000\000\000\000\000\000\000\001\377\377"' WITH (FORMAT binary)
-- indices out of order, twice, negative, too large
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\034\000\000\000\007\000\000\000\002\000\000\000\000\000\000\000\004\000\000\000\001\077\200\000\000\300\040\000\000\377\377"' WITH (FORMAT binary)
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\034\000\000\000\007\000\000\000\002\000\000\000\000\000\000\000\001\000\000\000\001\077\200\000\000\300\040\000\000\377\377"' WITH (FORMAT binary)
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\024\000\000\000\007\000\000\000\001\000\000\000\000\377\377\377\377\077\200\000\000\377\377"' WITH (FORMAT binary)
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\024\000\000\000\007\000\000\000\001\000\000\000\000\000\000\000\007\077\200\000\000\377\377"' WITH (FORMAT binary)
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\024\000\000\000\007\000\000\000\001\000\000\000\000\177\377\377\377\077\200\000\000\377\377"' WITH (FORMAT binary)
-- zero, negative zero, NaN and infinity
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\024\000\000\000\007\000\000\000\001\000\000\000\000\000\000\000\001\000\000\000\000\377\377"' WITH (FORMAT binary)
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\024\000\000\000\007\000\000\000\001\000\000\000\000\000\000\000\001\200\000\000\000\377\377"' WITH (FORMAT binary)
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\024\000\000\000\007\000\000\000\001\000\000\000\000\000\000\000\001\177\300\000\000\377\377"' WITH (FORMAT binary)
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\024\000\000\000\007\000\000\000\001\000\000\000\000\000\000\000\001\377\200\000\000\377\377"' WITH (FORMAT binary)
-- not what the column declares
ALTER TABLE swire ALTER v TYPE sparsevec(7);
\copy swire FROM PROGRAM 'printf "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000\000\001\000\000\000\014\000\000\000\006\000\000\000\000\000\000\000\000\377\377"' WITH (FORMAT binary)
SELECT * FROM swire;
DROP TABLE swire;
