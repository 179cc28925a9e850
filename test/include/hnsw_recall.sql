\set ECHO none
-- Share of the k nearest rows of a table that an index scan of column v gives; they must be in order, and the index used.
CREATE FUNCTION hnsw_recall(tab text, op text, q text, k int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	found float8[];
	exact float8[];
	line text;
	plan text := '';
BEGIN
	PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'on', true);
	FOR line IN EXECUTE format('EXPLAIN SELECT v FROM %s ORDER BY v %s %L LIMIT %s', tab, op, q, k) LOOP
		plan := plan || line;
	END LOOP;
	IF plan NOT LIKE '%Index Scan using%' THEN
		RAISE 'no index scan: %', plan;
	END IF;
	EXECUTE format('SELECT array(SELECT v %2$s %3$L FROM %1$s ORDER BY v %2$s %3$L LIMIT %4$s)', tab, op, q, k) INTO found;
	PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'off', true);
	EXECUTE format('SELECT array(SELECT v %2$s %3$L FROM %1$s WHERE v IS NOT NULL ORDER BY 1 LIMIT %4$s)', tab, op, q, k) INTO exact;
	PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'on', true);
	IF found <> (SELECT array_agg(d ORDER BY d) FROM unnest(found) d) THEN
		RAISE 'not in order: %', found;
	END IF;
	IF cardinality(found) <> cardinality(exact) THEN
		RAISE '% rows instead of %', cardinality(found), cardinality(exact);
	END IF;
	RETURN (SELECT count(*) FROM unnest(found) d WHERE d <= exact[cardinality(exact)])::float8 / cardinality(exact);
END $$;

-- The indexes of a table, one by one: recall over some queries, and the format's rules.
CREATE FUNCTION hnsw_check_all(tab regclass, queries text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c record;
	r float8;
BEGIN
	FOR c IN SELECT indexrelid::regclass AS index, substring(amopopr::regoper::text FROM '[^.]*$') AS op
		FROM pg_index JOIN pg_opclass o ON o.oid = indclass[0] JOIN pg_amop ON amopfamily = opcfamily AND amoppurpose = 'o'
		WHERE indrelid = tab
	LOOP
		-- the others out of the way
		UPDATE pg_index SET indisvalid = indexrelid = c.index WHERE indrelid = tab;
		SELECT avg(hnsw_recall(tab::text, c.op, q, 10)) INTO r FROM unnest(queries) q;
		UPDATE pg_index SET indisvalid = true WHERE indrelid = tab;
		IF r < 0.9 THEN
			RETURN format('recall %s with %s', r, c.index);
		END IF;
		IF EXISTS (SELECT FROM vecidx_check(c.index, true)) THEN
			RETURN format('%s is damaged', c.index);
		END IF;
	END LOOP;
	RETURN 'good';
END $$;
\set ECHO all
