
# Searches of hnsw under conditions, at sizes where each of their ways is taken:
# walks of the graph, steps over what does not pass, and passes over the codes
# that take the place of searches that come to nothing.  Recall is not below
# that without conditions, no query comes back short, and none looks at much
# more than a pass over the whole index would.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $ROWS = 20000;
my $node = new_node('hnsw_filter');

load_vectors($node, 'pool', make_vectors($ROWS, 24, 1));
load_vectors($node, 'searched', make_vectors(25, 24, 2));

# anywhere: in any place; topic: the nearest of some rows
$node->safe_psql(
	'postgres', "
	CREATE TABLE items AS SELECT p.id, p.v, (p.id::bigint * 7919 % 10000)::int AS anywhere,
		(SELECT t.id FROM pool t WHERE t.id <= 6 ORDER BY t.v <=> p.v LIMIT 1) AS topic FROM pool p;
	CREATE TABLE queries AS SELECT q.*, near[1] AS near, near[6] AS far FROM searched q,
		LATERAL (SELECT array(SELECT t.id FROM pool t WHERE t.id <= 6 ORDER BY t.v <=> q.v) AS near) n;
	SET max_parallel_maintenance_workers = 0;
	CREATE INDEX idx ON items USING hnsw (v vector_cosine_ops, anywhere, topic);
	VACUUM ANALYZE items");

# The most that a query touches: buffers, where each code that is scored counts.
sub most_touched
{
	my ($where, $ef) = @_;

	return $node->safe_psql(
		'postgres', "SET hnsw.ef_search = $ef; SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off;
		CREATE FUNCTION pg_temp.touched(query text) RETURNS int LANGUAGE plpgsql AS \$\$
		DECLARE
			plan jsonb;
		BEGIN
			EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ' || query INTO plan;
			RETURN (plan -> 0 -> 'Plan' ->> 'Shared Hit Blocks')::int + (plan -> 0 -> 'Plan' ->> 'Shared Read Blocks')::int;
		END \$\$;
		SELECT max(pg_temp.touched(format('SELECT id FROM items t WHERE ' || replace(replace('$where', 'q.near', near::text), 'q.far', far::text) ||
			' ORDER BY v <=> %L LIMIT 10', v))) FROM queries");
}

# what part of the rows a query may touch: how many it scores says which way it took
my @cells = (
	[ 'all', 't.anywhere >= 0', 0.1 ],
	[ 'half', 't.anywhere < 5000', 0.1 ],
	[ 'four tenths', 't.anywhere BETWEEN 1000 AND 4999', 0.1 ],
	[ 'a quarter', 't.anywhere < 2500', 0.1 ],
	[ 'a tenth', 't.anywhere < 1000', 0.2 ],
	[ 'a hundredth', 't.anywhere < 100', 0.1 ],
	[ 'few', 't.anywhere = 4321', 0.1 ],
	[ 'own topic', 't.topic = q.near', 0.3 ],
	[ 'farthest topic', 't.topic = q.far', 0.3 ],
	[ 'farthest topic, half', 't.topic = q.far AND t.anywhere < 5000', 0.2 ]);

my ($plain) = recall($node, metric => 'cosine', ef => 20);
my $least = $plain - 0.02;

note "recall without conditions $plain";
for my $cell (@cells)
{
	my ($name, $where, $part) = @$cell;

	recall_ok($node, $least, $name, metric => 'cosine', ef => 20, where => $where);
	cmp_ok(most_touched($where, 20), '<', $part * $ROWS, "$name: no more touched than there is need for");
}

# more rows than a search brings, and all there are
recall_ok($node, 0.97, 'a thousand rows of half', metric => 'cosine', k => 1000, where => 't.anywhere < 5000');
recall_ok($node, 1, 'all rows of a topic', metric => 'cosine', k => $ROWS, where => 't.topic = q.far AND t.anywhere < 1000');

# passes in parts, where memory is short
recall_ok($node, 0.97, 'little memory', metric => 'cosine', k => 1000, where => 't.anywhere < 2500', set => "SET work_mem = '64kB';");

$node->stop;
done_testing();
