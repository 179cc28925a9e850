\set ECHO none
-- Whether a check holds for vectors of all sorts of lengths at every level of kernels that this machine has; it is a function from int to boolean.
CREATE FUNCTION at_every_level(holds regproc) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	level text;
	checked int := 0;
	d int;
	good boolean;
BEGIN
	FOREACH level IN ARRAY ARRAY['scalar', 'baseline', 'avx2', 'avx512', 'auto'] LOOP
		BEGIN
			PERFORM set_config('vecidx.simd', level, true);
		EXCEPTION WHEN invalid_parameter_value THEN
			CONTINUE;
		END;
		checked := checked + 1;
		FOR d IN SELECT generate_series(1, 130) UNION ALL SELECT unnest(ARRAY[768, 1536, 16000]) LOOP
			EXECUTE format('SELECT %s(%s)', holds, d) INTO good;
			IF good IS NOT TRUE THEN
				RETURN format('%s differs at %s dimensions', level, d);
			END IF;
		END LOOP;
	END LOOP;
	RETURN CASE WHEN checked >= 3 THEN 'all agree' ELSE format('only %s levels', checked) END;
END $$;
\set ECHO all
