
# Conditions on further columns of an index: at every selectivity, and wherever
# the rows that meet them lie, searches find as much as without conditions, and
# as many rows as there are.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use VecidxTest;

my $ROWS = 10000;
my $DIM = 24;
my $node = new_node('filters');

load_vectors($node, 'pool', make_vectors($ROWS, $DIM, 1));
load_vectors($node, 'searched', make_vectors(40, $DIM, 2));

# n: any row as likely as another; topic: the nearest of some rows, which for a
# query may be its own or the farthest; tenant: few large ones, many small
$node->safe_psql(
	'postgres', "
	CREATE TABLE items AS SELECT p.id, p.v, (p.id::bigint * 7919 % 5000)::int AS n,
		(SELECT t.id FROM pool t WHERE t.id <= 15 ORDER BY t.v <-> p.v LIMIT 1) AS topic,
		'tenant ' || (1000 / (1 + (p.id::bigint * 104729 % 1000)))::text AS tenant,
		CASE WHEN p.id % 50 = 0 THEN NULL ELSE p.id % 3 = 0 END AS flag
		FROM pool p;
	CREATE TABLE queries AS SELECT q.*,
		(SELECT t.id FROM pool t WHERE t.id <= 15 ORDER BY t.v <-> q.v LIMIT 1) AS near,
		(SELECT t.id FROM pool t WHERE t.id <= 15 ORDER BY t.v <-> q.v DESC LIMIT 1) AS far
		FROM searched q;
	ANALYZE");

my @cells = (
	[ 'half', 't.n < 2500' ],
	[ 'a tenth', 't.n >= 4500' ],
	[ 'a hundredth', 't.n BETWEEN 100 AND 149' ],
	[ 'twenty rows', 't.n < 10' ],
	[ 'two rows', 't.n = 77' ],
	[ 'no row', 't.n > 20000' ],
	[ 'some numbers', 't.n IN (1, 22, 333, 4444, 4445, 3666, 2777, 1888)' ],
	[ 'own topic', 't.topic = q.near' ],
	[ 'farthest topic', 't.topic = q.far' ],
	[ 'large tenant', "t.tenant = 'tenant 1'" ],
	[ 'small tenant', "t.tenant = 'tenant 200'" ],
	[ 'two conditions', 't.n < 1000 AND NOT t.flag' ],
	[ 'NULL', 't.flag IS NULL' ]);

# recall of a search without conditions is about 0.96 at these settings
for my $case ([ 'ivfflat', '' ], [ 'ivfpq', '' ], [ 'hnsw', 'SET hnsw.ef_search = 80;' ])
{
	my ($am, $set) = @$case;

	for my $metric ('cosine', 'l2', 'ip')
	{
		$node->safe_psql('postgres', "CREATE INDEX idx ON items USING $am
			(v vector_${metric}_ops, n, topic, tenant, flag)");
		for my $cell (@cells)
		{
			my ($name, $where) = @$cell;

			next if $metric ne 'cosine' && $name !~ /hundredth|twenty|topic/;
			recall_ok($node, 0.95, "$am, $metric, $name", where => $where, set => $set, metric => $metric);
		}
		check_ok($node, 'idx', "$am, $metric") if $metric eq 'l2';
		$node->safe_psql('postgres', 'DROP INDEX idx');
	}
}
$node->stop;
done_testing();
