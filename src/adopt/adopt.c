/*
 * adopt.c
 *		Taking over pgvector's objects in place, by their OIDs.
 *
 * These functions exist only while the update script from the version
 * "pgvector" runs (sql/adopt.sql.in calls them in this order):
 *
 *	vecidx_adopt_begin()	checks that all can be taken over
 *	vecidx_adopt(script)	runs a script of CREATE statements so that objects
 *							which pgvector has made are changed in place
 *	vecidx_adopt_end()		marks pgvector's indexes as to be rebuilt, and sees
 *							that nothing was left behind
 *
 * A member of the extension "vector" becomes one of vecidx when the script
 * comes to its statement; so what is a member of "vector" still is what no
 * statement spoke of.  See README.md.
 */
#include "vecidx.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define PGVECTOR "vector"

/*
 * Versions that test/t/031_adoption.pl has passed with, or whose objects are
 * those of one that has: 0.8.1 to 0.8.6 changed no SQL, 0.8.7 added comments.
 */
static const char *const tested_versions[] = {
	"0.8.0", "0.8.1", "0.8.2", "0.8.3", "0.8.4", "0.8.5", "0.8.6", "0.8.7"
};

/* pgvector's access methods */
static const char *const access_methods[] = {"hnsw", "ivfflat"};

PGDLLEXPORT PG_FUNCTION_INFO_V1(vecidx_adopt_begin);
PGDLLEXPORT PG_FUNCTION_INFO_V1(vecidx_adopt);
PGDLLEXPORT PG_FUNCTION_INFO_V1(vecidx_adopt_end);

/* What pg_extension says of an extension. */
typedef struct ExtensionRow
{
	Oid			oid;
	Oid			owner;
	Oid			schema;
	char	   *version;
} ExtensionRow;

/* False where there is no such extension. */
static bool
read_extension(const char *name, ExtensionRow *row)
{
	Relation	catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum(name));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);
		bool		isnull;

		row->oid = form->oid;
		row->owner = form->extowner;
		row->schema = form->extnamespace;
		row->version = TextDatumGetCString(heap_getattr(tuple, Anum_pg_extension_extversion,
														RelationGetDescr(catalog), &isnull));
		found = true;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

static Oid
pgvector_oid(void)
{
	if (!creating_extension)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this function can be called by the update script of vecidx only")));
	return get_extension_oid(PGVECTOR, false);
}

/* The objects (ObjectAddress) of a class, or of any, that depend on an extension in this way. */
static List *
dependents(Oid extension, Oid classid, DependencyType type)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *result = NIL;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(ExtensionRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->deptype == (char) type && (!OidIsValid(classid) || form->classid == classid))
		{
			ObjectAddress *object = palloc(sizeof(ObjectAddress));

			ObjectAddressSubSet(*object, form->classid, form->objid, form->objsubid);
			result = lappend(result, object);
		}
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return result;
}

/*
 * An operator class that a user made for pgvector's access methods names
 * pgvector's support functions, which this library would call as its own.
 */
static void
refuse_foreign_opclasses(Oid pgvector)
{
	Relation	catalog = table_open(OperatorClassRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_opclass form = (Form_pg_opclass) GETSTRUCT(tuple);

		for (int i = 0; i < (int) lengthof(access_methods); i++)
			if (form->opcmethod == get_am_oid(access_methods[i], true) &&
				getExtensionOfObject(OperatorClassRelationId, form->oid) != pgvector)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("operator class \"%s\" for access method \"%s\" is not one of pgvector",
								NameStr(form->opcname), access_methods[i]),
						 errhint("Drop it, and the indexes that use it, before vecidx takes over.")));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

Datum
vecidx_adopt_begin(PG_FUNCTION_ARGS)
{
	Oid			pgvector = pgvector_oid();
	ExtensionRow vector;
	ExtensionRow vecidx;
	bool		tested = false;
	ListCell   *cell;

	(void) fcinfo;
	/* nobody drops, updates or moves it meanwhile */
	LockDatabaseObject(ExtensionRelationId, pgvector, 0, AccessExclusiveLock);
	if (!read_extension(PGVECTOR, &vector) || vector.oid != pgvector ||
		!read_extension("vecidx", &vecidx) || vecidx.oid != CurrentExtensionObject)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" does not exist", PGVECTOR)));

	for (int i = 0; i < (int) lengthof(tested_versions); i++)
		tested = tested || strcmp(vector.version, tested_versions[i]) == 0;
	if (!tested)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("vecidx cannot take over version %s of extension \"%s\"", vector.version, PGVECTOR),
				 errdetail("It was tested with versions %s to %s.",
						   tested_versions[0], tested_versions[lengthof(tested_versions) - 1]),
				 errhint("Bring pgvector to one of these by ALTER EXTENSION %s UPDATE TO, or move by dump and restore.",
						 PGVECTOR)));
	if (vector.schema != vecidx.schema)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extensions \"%s\" and \"vecidx\" are in different schemas", PGVECTOR),
				 errhint("ALTER EXTENSION vecidx SET SCHEMA %s;",
						 quote_identifier(get_namespace_name(vector.schema)))));
	if (!superuser_arg(vecidx.owner) && !has_privs_of_role(vecidx.owner, vector.owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of extension %s", PGVECTOR)));

	foreach(cell, dependents(pgvector, ExtensionRelationId, DEPENDENCY_NORMAL))
	{
		ObjectAddress *other = lfirst(cell);

		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("extension \"%s\" requires extension \"%s\"",
						get_extension_name(other->objectId), PGVECTOR),
				 errhint("Drop it before vecidx takes over, or keep pgvector.")));
	}
	refuse_foreign_opclasses(pgvector);
	PG_RETURN_VOID();
}

/*
 * If the object is a member of pgvector make it one of vecidx.  Returns
 * whether it was.
 */
static bool
take(Oid pgvector, Oid classid, Oid object)
{
	if (!OidIsValid(object) || getExtensionOfObject(classid, object) != pgvector)
		return false;
	if (changeDependencyFor(classid, object, ExtensionRelationId, pgvector, CurrentExtensionObject) != 1)
		elog(ERROR, "could not move object %u of class %u to vecidx", object, classid);
	CommandCounterIncrement();
	return true;
}

static void
execute(Node *statement, const char *source)
{
	PlannedStmt *plan = makeNode(PlannedStmt);

	plan->commandType = CMD_UTILITY;
	plan->utilityStmt = statement;
	plan->stmt_location = -1;
	ProcessUtility(plan, source, false, PROCESS_UTILITY_QUERY, NULL, NULL, None_Receiver, NULL);
}

/* The function or aggregate of this name and these FunctionParameters. */
static Oid
find_function(List *name, List *parameters)
{
	Oid			types[FUNC_MAX_ARGS];
	int			n = 0;
	ListCell   *cell;

	foreach(cell, parameters)
	{
		FunctionParameter *parameter = lfirst(cell);

		if (parameter->mode == FUNC_PARAM_TABLE || parameter->mode == FUNC_PARAM_OUT)
			continue;
		if (n == FUNC_MAX_ARGS)
			elog(ERROR, "too many parameters");
		types[n++] = typenameTypeId(NULL, parameter->argType);
	}
	return LookupFuncName(name, n, types, true);
}

/*
 * The first statement for a type makes a shell, for which there is no need
 * here.  The second gives its properties, of which the input and output
 * functions are the same by name.
 */
static Node *
adopt_type(DefineStmt *statement, Oid pgvector)
{
	Oid			type = LookupTypeNameOid(NULL, makeTypeNameFromNameList(statement->defnames), true);
	AlterTypeStmt *alter;
	ListCell   *cell;

	if (take(pgvector, TypeRelationId, type))
	{
		/* PostgreSQL 17 and 18 have made the array type a member too, 15 has not */
		(void) take(pgvector, TypeRelationId, get_array_type(type));
		return NULL;
	}
	if (!OidIsValid(type) || !get_typisdefined(type) || statement->definition == NIL)
		return (Node *) statement;
	alter = makeNode(AlterTypeStmt);
	alter->typeName = statement->defnames;
	foreach(cell, statement->definition)
	{
		DefElem    *element = lfirst(cell);

		if (strcmp(element->defname, "input") != 0 && strcmp(element->defname, "output") != 0)
			alter->options = lappend(alter->options, element);
	}
	return (Node *) alter;
}

/*
 * An operator keeps its function and its links to others.  ALTER OPERATOR sets
 * hashes and merges from PostgreSQL 17 on, so here it is the catalog's row.
 */
static Node *
adopt_operator(DefineStmt *statement, Oid pgvector)
{
	TypeName   *left = NULL;
	TypeName   *right = NULL;
	List	   *estimators = NIL;
	bool		hashes = false;
	bool		merges = false;
	Oid			operator;
	Relation	catalog;
	HeapTuple	tuple;
	Form_pg_operator form;
	AlterOperatorStmt *alter;
	ListCell   *cell;

	foreach(cell, statement->definition)
	{
		DefElem    *element = lfirst(cell);

		if (strcmp(element->defname, "leftarg") == 0)
			left = defGetTypeName(element);
		else if (strcmp(element->defname, "rightarg") == 0)
			right = defGetTypeName(element);
		else if (strcmp(element->defname, "restrict") == 0 || strcmp(element->defname, "join") == 0)
			estimators = lappend(estimators, element);
		else if (strcmp(element->defname, "hashes") == 0)
			hashes = defGetBoolean(element);
		else if (strcmp(element->defname, "merges") == 0)
			merges = defGetBoolean(element);
	}
	if (left == NULL || right == NULL)
		elog(ERROR, "operator without two arguments");
	operator = OpernameGetOprid(statement->defnames, typenameTypeId(NULL, left), typenameTypeId(NULL, right));
	if (!take(pgvector, OperatorRelationId, operator))
		return (Node *) statement;

	catalog = table_open(OperatorRelationId, RowExclusiveLock);
	tuple = SearchSysCacheCopy1(OPEROID, ObjectIdGetDatum(operator));
	form = (Form_pg_operator) GETSTRUCT(tuple);
	if (form->oprcanhash != hashes || form->oprcanmerge != merges)
	{
		form->oprcanhash = hashes;
		form->oprcanmerge = merges;
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
		CommandCounterIncrement();
	}
	table_close(catalog, RowExclusiveLock);
	if (estimators == NIL)
		return NULL;
	alter = makeNode(AlterOperatorStmt);
	alter->opername = makeNode(ObjectWithArgs);
	alter->opername->objname = statement->defnames;
	alter->opername->objargs = list_make2(left, right);
	alter->options = estimators;
	return (Node *) alter;
}

static Node *
adopt_cast(CreateCastStmt *statement, Oid pgvector)
{
	Oid			object = get_cast_oid(typenameTypeId(NULL, statement->sourcetype),
									  typenameTypeId(NULL, statement->targettype), true);
	char		context = statement->context == COERCION_IMPLICIT ? COERCION_CODE_IMPLICIT :
		statement->context == COERCION_ASSIGNMENT ? COERCION_CODE_ASSIGNMENT : COERCION_CODE_EXPLICIT;
	Relation	catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Form_pg_cast form;

	if (!take(pgvector, CastRelationId, object))
		return (Node *) statement;

	catalog = table_open(CastRelationId, RowExclusiveLock);
	ScanKeyInit(&key, Anum_pg_cast_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
	scan = systable_beginscan(catalog, CastOidIndexId, true, NULL, 1, &key);
	tuple = heap_copytuple(systable_getnext(scan));
	form = (Form_pg_cast) GETSTRUCT(tuple);
	if (statement->func == NULL ||
		form->castfunc != LookupFuncWithArgs(OBJECT_FUNCTION, statement->func, false))
		elog(ERROR, "cast is not by the function that was expected");
	if (form->castcontext != context)
	{
		form->castcontext = context;
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	}
	systable_endscan(scan);
	table_close(catalog, RowExclusiveLock);
	return NULL;
}

/*
 * A support function's entry depends on the type that it is for, unless the
 * function does by its arguments.
 */
static void
depend_on_type(Oid entry, Oid function, Oid type)
{
	Oid		   *types;
	int			n;
	ObjectAddress depender;
	ObjectAddress referenced;

	(void) get_func_signature(function, &types, &n);
	for (int i = 0; i < n; i++)
		if (types[i] == type)
			return;
	ObjectAddressSet(depender, AccessMethodProcedureRelationId, entry);
	ObjectAddressSet(referenced, TypeRelationId, type);
	recordDependencyOn(&depender, &referenced, DEPENDENCY_NORMAL);
}

/*
 * An operator class keeps its operators and gets new support functions in the
 * places of the old ones.  No command can do that: support functions of a
 * class cannot be taken out of it.
 */
static Node *
adopt_opclass(CreateOpClassStmt *statement, Oid pgvector)
{
	Oid			am = get_am_oid(statement->amname, false);
	Oid			opclass = get_opclass_oid(am, statement->opclassname, true);
	Oid			type = typenameTypeId(NULL, statement->datatype);
	Oid			family;
	List	   *functions = NIL;
	List	   *numbers = NIL;
	Relation	catalog;
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	int			found = 0;
	ListCell   *cell;

	if (!take(pgvector, OperatorClassRelationId, opclass))
		return (Node *) statement;
	family = get_opclass_family(opclass);
	(void) take(pgvector, OperatorFamilyRelationId, family);

	foreach(cell, statement->items)
	{
		CreateOpClassItem *item = lfirst(cell);

		if (item->itemtype == OPCLASS_ITEM_FUNCTION)
		{
			functions = lappend_oid(functions, LookupFuncWithArgs(OBJECT_FUNCTION, item->name, false));
			numbers = lappend_int(numbers, item->number);
		}
		else if (item->itemtype != OPCLASS_ITEM_OPERATOR ||
				 !OidIsValid(get_opfamily_member(family, type, type, item->number)))
			elog(ERROR, "operator class has not the operators that were expected");
	}

	catalog = table_open(AccessMethodProcedureRelationId, RowExclusiveLock);
	ScanKeyInit(&key[0], Anum_pg_amproc_amprocfamily, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(family));
	ScanKeyInit(&key[1], Anum_pg_amproc_amproclefttype, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(type));
	ScanKeyInit(&key[2], Anum_pg_amproc_amprocrighttype, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(type));
	scan = systable_beginscan(catalog, AccessMethodProcedureIndexId, true, NULL, 3, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_amproc form = (Form_pg_amproc) GETSTRUCT(tuple);
		Oid			new_function = InvalidOid;

		for (int i = 0; i < list_length(numbers); i++)
			if (list_nth_int(numbers, i) == form->amprocnum)
				new_function = list_nth_oid(functions, i);
		if (!OidIsValid(new_function))
		{
			(void) deleteDependencyRecordsFor(AccessMethodProcedureRelationId, form->oid, false);
			CatalogTupleDelete(catalog, &tuple->t_self);
			continue;
		}
		found++;
		if (form->amproc != new_function)
		{
			HeapTuple	copy = heap_copytuple(tuple);

			if (changeDependencyFor(AccessMethodProcedureRelationId, form->oid,
									ProcedureRelationId, form->amproc, new_function) != 1)
				elog(ERROR, "could not exchange a support function's dependency");
			((Form_pg_amproc) GETSTRUCT(copy))->amproc = new_function;
			CatalogTupleUpdate(catalog, &copy->t_self, copy);
			depend_on_type(form->oid, new_function, type);
		}
	}
	systable_endscan(scan);
	table_close(catalog, RowExclusiveLock);
	if (found != list_length(functions))
		elog(ERROR, "operator class has not the support functions that were expected");
	return NULL;
}

/* What to execute in place of a statement of the script; NULL if nothing. */
static Node *
adopt_statement(Node *node, Oid pgvector)
{
	switch (nodeTag(node))
	{
		case T_CreateFunctionStmt:
			{
				CreateFunctionStmt *statement = (CreateFunctionStmt *) node;

				statement->replace = take(pgvector, ProcedureRelationId,
										  find_function(statement->funcname, statement->parameters));
				return node;
			}
		case T_DefineStmt:
			{
				DefineStmt *statement = (DefineStmt *) node;

				if (statement->kind == OBJECT_TYPE)
					return adopt_type(statement, pgvector);
				if (statement->kind == OBJECT_OPERATOR)
					return adopt_operator(statement, pgvector);
				if (statement->kind != OBJECT_AGGREGATE || statement->oldstyle)
					break;
				statement->replace = take(pgvector, ProcedureRelationId,
										  find_function(statement->defnames, linitial(statement->args)));
				return node;
			}
		case T_CreateCastStmt:
			return adopt_cast((CreateCastStmt *) node, pgvector);
		case T_CreateAmStmt:
			/* its handler is the same function, which has changed */
			if (take(pgvector, AccessMethodRelationId, get_am_oid(((CreateAmStmt *) node)->amname, true)))
				return NULL;
			return node;
		case T_CreateOpClassStmt:
			return adopt_opclass((CreateOpClassStmt *) node, pgvector);
		case T_AlterTypeStmt:
		case T_AlterOpFamilyStmt:
		case T_CommentStmt:
			return node;
		case T_DropStmt:
			{
				DropStmt   *statement = (DropStmt *) node;
				ListCell   *cell;

				foreach(cell, statement->objects)
				{
					Relation	relation = NULL;
					ObjectAddress object = get_object_address(statement->removeType, lfirst(cell), &relation,
															  AccessExclusiveLock, false);

					if (!take(pgvector, object.classId, object.objectId))
						elog(ERROR, "what the script drops is not pgvector's");
				}
				return node;
			}
		default:
			break;
	}
	elog(ERROR, "unexpected kind of statement: %s", CreateCommandName(node));
}

static void
statement_context(void *arg)
{
	errcontext("taking over from pgvector: %s", (char *) arg);
}

/*
 * The script's statements must be such as adopt_statement knows.  Objects that
 * are not there are created, those of pgvector become what the statement says,
 * and those of others raise the error that the statement raises by itself.
 */
Datum
vecidx_adopt(PG_FUNCTION_ARGS)
{
	Oid			pgvector = pgvector_oid();
	char	   *script = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ListCell   *cell;

	foreach(cell, raw_parser(script, RAW_PARSE_DEFAULT))
	{
		RawStmt    *raw = lfirst_node(RawStmt, cell);
		char	   *source = script + raw->stmt_location;
		Node	   *statement;
		ErrorContextCallback context = {
			.previous = error_context_stack,
			.callback = statement_context
		};

		source = raw->stmt_len > 0 ? pnstrdup(source, raw->stmt_len) : pstrdup(source);
		context.arg = source + strspn(source, " \t\n");
		error_context_stack = &context;
		statement = adopt_statement(raw->stmt, pgvector);
		if (statement != NULL)
			execute(statement, source);
		CommandCounterIncrement();
		error_context_stack = context.previous;
		pfree(source);
	}
	PG_RETURN_VOID();
}

/*
 * Neither read nor written until it is rebuilt, which makes it valid again.
 * Returns false if the index has been dropped meanwhile.
 */
static bool
retire_index(Oid index)
{
	Oid			table = IndexGetRelation(index, true);
	Relation	catalog;
	HeapTuple	tuple;
	Form_pg_index form;

	if (!OidIsValid(table))
		return false;
	/* waits for those who write to it through pgvector's library */
	LockRelationOid(table, ShareRowExclusiveLock);
	tuple = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		return false;
	catalog = table_open(IndexRelationId, RowExclusiveLock);
	form = (Form_pg_index) GETSTRUCT(tuple);
	form->indisvalid = false;
	form->indisready = false;
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	table_close(catalog, RowExclusiveLock);
	/* cached plans depend on the table, not on the index */
	CacheInvalidateRelcacheByRelid(table);
	return true;
}

/* The indexes of an access method that have pages. */
static List *
indexes_of(Oid am)
{
	Relation	catalog = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	List	   *indexes = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (form->relkind == RELKIND_INDEX && form->relam == am)
			indexes = lappend_oid(indexes, form->oid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return indexes;
}

static void
retire_indexes(const char *am)
{
	Oid			amoid = get_am_oid(am, true);
	StringInfoData names;
	int			n = 0;
	ListCell   *cell;

	if (!OidIsValid(amoid))
		return;
	initStringInfo(&names);
	foreach(cell, indexes_of(amoid))
	{
		Oid			index = lfirst_oid(cell);

		if (!retire_index(index))
			continue;
		appendStringInfo(&names, "%s%s", n > 0 ? ", " : "",
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(index)),
													get_rel_name(index)));
		n++;
	}
	if (n > 0)
		ereport(WARNING,
				(errmsg_plural("%d %s index of pgvector is out of use until it is rebuilt",
							   "%d %s indexes of pgvector are out of use until they are rebuilt", n, n, am),
				 errdetail_internal("%s", names.data),
				 errhint("REINDEX them, or REINDEX DATABASE for all.")));
}

Datum
vecidx_adopt_end(PG_FUNCTION_ARGS)
{
	Oid			pgvector = pgvector_oid();
	List	   *rest = dependents(pgvector, InvalidOid, DEPENDENCY_EXTENSION);
	ListCell   *cell;

	(void) fcinfo;
	if (rest != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("extension \"%s\" has members that vecidx does not know", PGVECTOR),
				 errdetail("One of %d is %s.", list_length(rest), getObjectDescription(linitial(rest), false)),
				 errhint("Take out what was added by ALTER EXTENSION %s DROP.", PGVECTOR)));

	/* ALTER FUNCTION ... DEPENDS ON EXTENSION: DROP EXTENSION would drop these */
	foreach(cell, dependents(pgvector, InvalidOid, DEPENDENCY_AUTO_EXTENSION))
	{
		ObjectAddress *object = lfirst(cell);

		(void) changeDependencyFor(object->classId, object->objectId,
								   ExtensionRelationId, pgvector, CurrentExtensionObject);
	}

	for (int i = 0; i < (int) lengthof(access_methods); i++)
		retire_indexes(access_methods[i]);
	PG_RETURN_VOID();
}
