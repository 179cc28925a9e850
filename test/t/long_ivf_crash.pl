
# Crashes while IVF indexes are built, learn and split lists: 24 rounds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use IvfCrashRounds;
use Test::More;

ivf_crash_rounds(24);
done_testing();
