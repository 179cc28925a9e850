# vecidx: PGXS build.  make, make install, make installcheck; make unit for
# the tests that need no server.
EXTENSION = vecidx
MODULE_big = vecidx
# The installation script is put together from sql/*.sql.in, and so is the script that takes over from pgvector;
# upgrade scripts are files of their own.
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" vecidx.control)
INSTALL_SQL = sql/vecidx--$(EXTVERSION).sql
ADOPT_SQL = sql/vecidx--pgvector--$(EXTVERSION).sql
DATA = $(filter-out $(ADOPT_SQL),$(wildcard sql/*--*--*.sql)) sql/vecidx--pgvector.sql sql/vecidx--pgvector.control
DATA_built = $(INSTALL_SQL) $(ADOPT_SQL)
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
ALL_HEADERS = $(wildcard src/*.h src/*/*.h)

REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
# Expected output is in expected/: 15 looks for it in the output directory, later
# versions in --expecteddir, and both are the working directory unless told.
REGRESS_OPTS = --inputdir=$(srcdir)/test --load-extension=vecidx
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
# The output directory is where PostgreSQL 15 looks for expected/.
ISOLATION_OPTS = --inputdir=$(srcdir)/test --outputdir=. --load-extension=vecidx
# make tapcheck: the TAP tests, against the installed extension.
PROVE_TESTS ?= test/t/*.pl

PG_CONFIG ?= pg_config

# PostgreSQL's and SIMDe's headers are "system" so that -Wextra speaks of this project only.
PG_CPPFLAGS = -I$(srcdir)/src -isystem $(shell $(PG_CONFIG) --includedir-server)
# -O3 -fno-math-errno: for the kernels; both are safe for exact arithmetic.
PG_CFLAGS = -std=gnu11 -Wextra -O3 -fno-math-errno

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(ALL_HEADERS)

$(INSTALL_SQL): TEMPLATE = vecidx
$(ADOPT_SQL): TEMPLATE = adopt
$(DATA_built): sql/expand.awk $(wildcard sql/*.sql.in) vecidx.control
	awk -v dir=sql -f sql/expand.awk sql/$(TEMPLATE).sql.in >$@.tmp
	mv $@.tmp $@

.PHONY: tapcheck
tapcheck:
	$(prove_installcheck)

SIMD_DIR = src/simd
include $(srcdir)/src/simd/simd.mk

# Without a server: test/unit has its own objects and flags.
.PHONY: unit kernel-bench
unit kernel-bench:
	$(MAKE) -C $(srcdir)/test/unit $@

clean: unit-clean
.PHONY: unit-clean
unit-clean:
	rm -rf $(srcdir)/test/unit/build
