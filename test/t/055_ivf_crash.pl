
# Crashes while IVF indexes are built, learn and split lists: three rounds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IvfCrashRounds;
use Test::More;

ivf_crash_rounds(3);
done_testing();
