/*
 * fuzz_driver.c
 *		The SQL functions of the fuzzer, and the loop of calls.
 *
 * A call runs without a subtransaction: what is called here holds nothing but
 * memory.  Sanitizers end the process at their first report; the file
 * "fuzz_current.PID" in the data directory, mapped and written before each call,
 * then tells which one it was.  Broken rules are errors of the driver, which
 * name the call, too.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#endif

PG_MODULE_MAGIC;

#define CURRENT_SIZE 512

/* Every so many calls: once more with other bytes in new memory, or text round trip of any result. */
#define CHECK_EVERY 16

/* Different SQLSTATEs counted per function. */
#define MAX_STATES 24

typedef struct Target
{
	Oid			oid;
	char	   *name;			/* with the types of its arguments */
	uint64		name_hash;
	FmgrInfo	function;
	int			nargs;
	Oid			argtypes[FUNC_MAX_ARGS];
	Oid			result;
	int16		result_len;
	bool		result_byval;
	bool		input;			/* the input or receive function of its result's type */
	bool		receive;
	bool		slow;			/* works with numeric */
	bool		transition;		/* of an aggregate: may change its state in place, as one */

	/* of the result's type, if it is the extension's */
	Oid			result_param;
	FmgrInfo	in;
	FmgrInfo	out;
	FmgrInfo	recv;
	FmgrInfo	send;
} Target;

typedef struct Tally
{
	int64		accepted;
	int64		rejected;
	double		slowest;		/* in ms */
	int			nstates;
	int			states[MAX_STATES];
	int64		state_counts[MAX_STATES];
} Tally;

/* Of a call, fenced; and of the making of its arguments, plain and faster. */
static MemoryContext call_context;
static MemoryContext argument_context;
static char *current;

static Target *
target_open(Oid oid)
{
	Target	   *t = palloc0(sizeof(Target));
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
	Form_pg_proc proc;
	Oid			function;
	bool		varlena;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "fuzz: no function %u", oid);
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	t->oid = oid;
	t->nargs = proc->pronargs;
	t->result = proc->prorettype;
	memcpy(t->argtypes, proc->proargtypes.values, sizeof(Oid) * t->nargs);
	if (proc->proretset || !proc->proisstrict)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("fuzz: %s is not strict, or returns a set", NameStr(proc->proname))));
	t->transition = t->nargs == 2 && t->argtypes[0] == t->result && t->result == FLOAT8ARRAYOID;
	t->slow = t->argtypes[0] == NUMERICARRAYOID || t->argtypes[0] == JSONBOID ||
		t->result == NUMERICARRAYOID || t->result == JSONBOID;
	ReleaseSysCache(tuple);

	t->name = format_procedure(oid);
	t->name_hash = DatumGetUInt64(hash_any_extended((unsigned char *) t->name, (int) strlen(t->name), 0));
	fmgr_info(oid, &t->function);
	get_typlenbyval(t->result, &t->result_len, &t->result_byval);

	if (fuzz_kind(t->result) != FUZZ_OTHER)
	{
		getTypeInputInfo(t->result, &function, &t->result_param);
		t->input = function == oid;
		fmgr_info(function, &t->in);
		getTypeOutputInfo(t->result, &function, &varlena);
		fmgr_info(function, &t->out);
		getTypeBinaryInputInfo(t->result, &function, &t->result_param);
		t->receive = function == oid;
		fmgr_info(function, &t->recv);
		getTypeBinaryOutputInfo(t->result, &function, &varlena);
		fmgr_info(function, &t->send);
	}
	for (int i = 0; i < t->nargs; i++)
	{
		if (t->argtypes[i] == INTERNALOID && !t->receive)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("fuzz: %s takes what SQL cannot give", t->name)));
	}
	return t;
}

static void
note_current(const Target *t, int64 seed, int64 number, bool damaged)
{
	if (current == NULL)
	{
		char	   *file = psprintf("fuzz_current.%d", MyProcPid);
		int			fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);

		if (fd < 0 || ftruncate(fd, CURRENT_SIZE) != 0 ||
			(current = mmap(NULL, CURRENT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED)
			elog(ERROR, "fuzz: cannot map \"%s\": %m", file);
		close(fd);
	}
	snprintf(current, CURRENT_SIZE, "%s\n" INT64_FORMAT "\n" INT64_FORMAT "\n%s\n",
			 t->name, seed, number, damaged ? "true" : "false");
}

/* Arguments, and the call's random numbers after them. */
static void
make_arguments(const Target *t, FuzzCall *call, int64 seed, int64 number, bool damaged)
{
	FuzzRandom	mix = {t->name_hash ^ (uint64) seed};
	uint64		key = fuzz_bits(&mix) + (uint64) number;
	MemoryContext outer;

	fuzz_arguments_free();
	if (argument_context == NULL)
		argument_context = AllocSetContextCreate(TopMemoryContext, "fuzz arguments", ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(argument_context);
	outer = MemoryContextSwitchTo(argument_context);
	mix.state = key;
	fuzz_call_init(call, fuzz_bits(&mix), damaged, t->result, t->slow);
	for (int i = 0; i < t->nargs; i++)
		fuzz_argument(call, t->argtypes[i]);
	MemoryContextSwitchTo(outer);
}

static Datum
call_strict(FmgrInfo *function, int nargs, Datum a, Datum b, Datum c)
{
	return nargs == 1 ? FunctionCall1(function, a) : FunctionCall3(function, a, b, c);
}

/* NULL, or what is wrong with what a call returned. */
static const char *
check_result(Target *t, FuzzCall *call, Datum result, int64 number)
{
	const char *problem = fuzz_result_problem(result, t->result);

	if (problem != NULL || fuzz_kind(t->result) == FUZZ_OTHER)
		return problem;

	if (t->input || number % CHECK_EVERY == 1)
	{
		Datum		text = call_strict(&t->out, 1, result, 0, 0);
		Datum		again = call_strict(&t->in, 3, text, ObjectIdGetDatum(t->result_param), Int32GetDatum(-1));

		if (!datumIsEqual(result, again, false, -1))
			return "the value's text reads as another value";
	}
	if (t->receive || number % CHECK_EVERY == 2)
	{
		struct varlena *sent = (struct varlena *) DatumGetPointer(call_strict(&t->send, 1, result, 0, 0));
		StringInfoData wire;
		Datum		again;

		/* exactly as long as it is, so that reading on is seen */
		wire.len = wire.maxlen = (int) VARSIZE(sent) - VARHDRSZ;
		wire.cursor = 0;
		wire.data = palloc(wire.len);
		memcpy(wire.data, VARDATA(sent), wire.len);
		again = call_strict(&t->recv, 3, PointerGetDatum(&wire), ObjectIdGetDatum(t->result_param),
							Int32GetDatum(-1));
		if (wire.cursor != wire.len || !datumIsEqual(result, again, false, -1))
			return "the value's binary form is received as another value";
		if (t->receive)
		{
			StringInfo	message = (StringInfo) DatumGetPointer(call->args[0]);

			if (message->cursor != wire.len || memcmp(message->data, wire.data, wire.len) != 0)
				return "what was received is sent as another message";
		}
	}
	return NULL;
}

/*
 * One call.  *problem: NULL, or the rule that is broken.  Gives the SQLSTATE
 * of the error, 0 for none; the result goes to *result, in call_context.
 */
static int
run_call(Target *t, FuzzCall *call, int64 number, Datum *result, bool *isnull, const char **problem)
{
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);
	static AggState aggregate;
#if PG_VERSION_NUM >= 160000
	ErrorSaveContext soft = {.type = T_ErrorSaveContext};
#endif
	MemoryContext outer = MemoryContextSwitchTo(call_context);
	volatile int sqlstate = 0;

	InitFunctionCallInfoData(*fcinfo, &t->function, t->nargs, InvalidOid, NULL, NULL);
	for (int i = 0; i < t->nargs; i++)
	{
		fcinfo->args[i].value = call->args[i];
		fcinfo->args[i].isnull = false;
	}
	aggregate.ss.ps.type = T_AggState;
	if (t->transition && number % 2 == 1)
		fcinfo->context = (Node *) &aggregate;
#if PG_VERSION_NUM >= 160000
	if (t->input && number % 2 == 1)
		fcinfo->context = (Node *) &soft;
#endif

	*problem = NULL;
	*result = (Datum) 0;
	PG_TRY();
	{
		*result = FunctionCallInvoke(fcinfo);
		*isnull = fcinfo->isnull;
#if PG_VERSION_NUM >= 160000
		if (soft.error_occurred)
			sqlstate = ERRCODE_INVALID_TEXT_REPRESENTATION;
		else
#endif
		if (!*isnull && !call->damaged)
		{
			*problem = check_result(t, call, *result, number);
		}
	}
	PG_CATCH();
	{
		int			class;

		sqlstate = geterrcode();
		class = ERRCODE_TO_CATEGORY(sqlstate);
		if ((class == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR) &&
			 !(call->damaged && sqlstate == ERRCODE_DATA_CORRUPTED)) ||
			class == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
			class == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) ||
			class == ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR))
		{
			ErrorData  *error;

			MemoryContextSwitchTo(outer);
			error = CopyErrorData();
			*problem = psprintf("unexpected error %s: %s", unpack_sql_state(sqlstate), error->message);
		}
		FlushErrorState();
	}
	PG_END_TRY();

	MemoryContextSwitchTo(outer);
	return sqlstate;
}

static void
count_state(Tally *tally, int state)
{
	for (int i = 0; i < tally->nstates; i++)
	{
		if (tally->states[i] == state)
		{
			tally->state_counts[i]++;
			return;
		}
	}
	if (tally->nstates < MAX_STATES)
	{
		tally->states[tally->nstates] = state;
		tally->state_counts[tally->nstates++] = 1;
	}
}

static char *
describe(const Target *t, const FuzzCall *call)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < t->nargs; i++)
	{
		appendStringInfo(&out, "%sargument %d, ", i > 0 ? "\n" : "", i + 1);
		fuzz_argument_describe(&out, call->args[i], t->argtypes[i]);
	}
	return out.data;
}

static void
run_number(Target *t, int64 seed, int64 number, bool damaged, Tally *tally)
{
	static FuzzCall call_now;
	FuzzCall   *call = &call_now;
	Datum		result;
	bool		isnull = false;
	const char *problem;
	int			state;
	instr_time	began;
	instr_time	took;

	note_current(t, seed, number, damaged);
	fuzz_fill = 0x5a;
	make_arguments(t, call, seed, number, damaged);

	INSTR_TIME_SET_CURRENT(began);
	state = run_call(t, call, number, &result, &isnull, &problem);
	INSTR_TIME_SET_CURRENT(took);
	INSTR_TIME_SUBTRACT(took, began);
	tally->slowest = Max(tally->slowest, INSTR_TIME_GET_MILLISEC(took));

	if (problem == NULL && state == 0 && !isnull && number % CHECK_EVERY == 0)
	{
		/* nothing may depend on what new memory holds */
		Datum		first = datumCopy(result, t->result_byval, t->result_len);
		bool		again_null = false;

		MemoryContextReset(call_context);
		fuzz_fill = 0xc3;
		make_arguments(t, call, seed, number, damaged);
		if (run_call(t, call, number, &result, &again_null, &problem) != 0 || again_null ||
			!datumIsEqual(first, result, t->result_byval, t->result_len))
			problem = "the same arguments again give another result";
		if (!t->result_byval)
			pfree(DatumGetPointer(first));
	}

	if (problem != NULL)
	{
		char	   *detail = describe(t, call);

		fuzz_arguments_free();
		ereport(ERROR,
				(errcode(ERRCODE_ASSERT_FAILURE),
				 errmsg("fuzz: %s: %s", t->name, problem),
				 errdetail("Seed " INT64_FORMAT ", call " INT64_FORMAT "%s\n%s", seed, number,
						   damaged ? ", damaged values" : "", detail)));
	}
	if (state == 0)
		tally->accepted++;
	else
	{
		tally->rejected++;
		count_state(tally, state);
	}
	fuzz_arguments_free();
	MemoryContextReset(call_context);
}

PG_FUNCTION_INFO_V1(fuzz_run);

/*
 * fuzz_run(function, seed, first, calls, damaged) returns accepted, rejected,
 * ns per call with the making of its arguments, slowest call in ms, and the
 * SQLSTATEs of the rejections.
 */
Datum
fuzz_run(PG_FUNCTION_ARGS)
{
	Target	   *t = target_open(PG_GETARG_OID(0));
	int64		seed = PG_GETARG_INT64(1);
	int64		first = PG_GETARG_INT64(2);
	int64		calls = PG_GETARG_INT64(3);
	bool		damaged = PG_GETARG_BOOL(4);
	Tally		tally = {0};
	StringInfoData states;
	instr_time	began;
	instr_time	took;
	TupleDesc	desc;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	call_context = fuzz_context_create(CurrentMemoryContext);

	INSTR_TIME_SET_CURRENT(began);
	for (int64 i = 0; i < calls; i++)
	{
		CHECK_FOR_INTERRUPTS();
		run_number(t, seed, first + i, damaged, &tally);
	}
	INSTR_TIME_SET_CURRENT(took);
	INSTR_TIME_SUBTRACT(took, began);
	MemoryContextDelete(call_context);

	initStringInfo(&states);
	for (int i = 0; i < tally.nstates; i++)
		appendStringInfo(&states, "%s%s:" INT64_FORMAT, i > 0 ? " " : "", unpack_sql_state(tally.states[i]),
						 tally.state_counts[i]);
	values[0] = Int64GetDatum(tally.accepted);
	values[1] = Int64GetDatum(tally.rejected);
	values[2] = Float8GetDatum(INSTR_TIME_GET_DOUBLE(took) * 1e9 / (double) Max(calls, 1));
	values[3] = Float8GetDatum(tally.slowest);
	values[4] = CStringGetTextDatum(states.data);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

PG_FUNCTION_INFO_V1(fuzz_describe);

/* fuzz_describe(function, seed, number, damaged): the arguments of a call, which is not made. */
Datum
fuzz_describe(PG_FUNCTION_ARGS)
{
	Target	   *t = target_open(PG_GETARG_OID(0));
	FuzzCall   *call = palloc(sizeof(FuzzCall));
	char	   *text;

	make_arguments(t, call, PG_GETARG_INT64(1), PG_GETARG_INT64(2), PG_GETARG_BOOL(3));
	text = describe(t, call);
	fuzz_arguments_free();
	PG_RETURN_TEXT_P(cstring_to_text(text));
}

PG_FUNCTION_INFO_V1(fuzz_value);

/* fuzz_value(NULL::type, seed, number): a value of the type, for use in SQL. */
Datum
fuzz_value(PG_FUNCTION_ARGS)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	FuzzRandom	mix = {(uint64) PG_GETARG_INT64(1)};
	FuzzCall	call;
	int16		len;
	bool		byval;
	Datum		result;

	mix.state = fuzz_bits(&mix) + (uint64) PG_GETARG_INT64(2);
	fuzz_call_init(&call, fuzz_bits(&mix), false, type, false);
	result = fuzz_argument(&call, type);
	get_typlenbyval(type, &len, &byval);
	if (len == -1)
		result = PointerGetDatum(PG_DETOAST_DATUM_COPY(result));
	fuzz_arguments_free();
	PG_RETURN_DATUM(result);
}
