
# Crashes during builds, inserts and VACUUM: six rounds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";
use CrashRounds;
use Test::More;

crash_rounds(6);
done_testing();
