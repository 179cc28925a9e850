
# Crashes during builds, inserts and VACUUM: twenty rounds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use CrashRounds;
use Test::More;

crash_rounds(20);
done_testing();
