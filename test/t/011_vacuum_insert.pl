
# Inserts beside a slow VACUUM that takes away all of their neighbourhood: none
# may wait for it (it waits for them), and no link to a node taken away may be
# left behind, wherever the nodes that they made stand.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use Test::More;
use VecidxTest;

my $node = new_node('vacuum_insert');
my $near = "(SELECT array_agg(random()) FROM generate_series(1, 8) WHERE i > 0)::vector";
my $twin = "ARRAY[i % 4, 1, 2, 3, 4, 5, 6, 7]::vector";
my $far = "(SELECT array_agg(100 + random()) FROM generate_series(1, 8) WHERE i > 0)::vector";

# what goes, rows that stay; vectors, and further columns of the index
for my $case (
	[ 'a cluster', 'id <= 2500', 100, $near, '' ],
	[ 'everything', 'true', 0, $near, '' ],
	[ 'every other row', 'id % 2 = 0', 1300, $near, '' ],
	[ 'every other twin', 'id % 2 = 0', 1300, $twin, ', id' ],
	[ 'all twins', 'id <= 2500', 100, $twin, ', id' ])
{
	my ($name, $where, $left, $vector, $columns) = @$case;

	$node->safe_psql(
		'postgres', "
		CREATE TABLE t (id int, v vector(8));
		SELECT setseed(0.5);
		INSERT INTO t SELECT i, $vector FROM generate_series(1, 2500) i;
		INSERT INTO t SELECT i, $far FROM generate_series(2501, 2600) i;
		CREATE INDEX t_idx ON t USING hnsw (v vector_l2_ops$columns);
		DELETE FROM t WHERE $where;");
	my $vacuum = start_sql($node, "SET vacuum_cost_delay = 4; SET vacuum_cost_limit = 1; VACUUM t;");
	wait_for_progress($node, $vacuum,
		"SELECT count(*) > 0 FROM pg_stat_progress_vacuum WHERE phase = 'vacuuming indexes'")
	  or die 'VACUUM was too fast';

	# one connection to the end, so that inserts meet every pass
	my ($code, $out, $err) = finish_sql(
		start_sql(
			$node, "
			SET statement_timeout = '60s';
			DO \$\$
			DECLARE
				i int := 10000;
			BEGIN
				LOOP
					INSERT INTO t VALUES (i, $vector);
					COMMIT;
					i := i + 1;
					EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_progress_vacuum WHERE phase = 'vacuuming indexes') OR i >= 40000;
				END LOOP;
			END \$\$;
			SELECT count(*) FROM t WHERE id >= 10000;"));
	is($code, 0, "$name: inserts go on during VACUUM") or diag($err);
	my ($inserted) = $out =~ /^(\d+)$/m;
	cmp_ok($inserted // 0, '>', 100, "$name: of which there were many");
	is((finish_sql($vacuum))[0], 0, "$name: VACUUM ends");
	check_ok($node, 't_idx', $name);
	is( $node->safe_psql(
			'postgres', "SET enable_seqscan = off; SET hnsw.ef_search = 400;
			SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[0,0,0,0,0,0,0,0]') s"),
		$left + ($inserted // 0),
		"$name: every row is found");
	$node->safe_psql('postgres', 'DROP TABLE t');
}

$node->stop;
done_testing();
