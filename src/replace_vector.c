/*
 * replace_vector.c
 *		vecidx.replace_vector: CREATE EXTENSION vector creates vecidx.
 *
 * Dumps of a pgvector database, migrations and some client libraries name
 * pgvector's extension in their SQL.  No filter of that SQL is safe, as a row may
 * hold the same words; the server, which has parsed it, cannot be mistaken.
 */
#include "vecidx.h"

#include "commands/defrem.h"
#include "commands/extension.h"
#include "guc.h"
#include "nodes/parsenodes.h"
#include "replace_vector.h"
#include "tcop/utility.h"

#define REPLACED_EXTENSION "vector"
#define OUR_EXTENSION "vecidx"

static ProcessUtility_hook_type next_process_utility = NULL;

/* Whether a statement about this extension is meant for vecidx. */
static bool
is_replaced(const char *extension)
{
	return strcmp(extension, REPLACED_EXTENSION) == 0 &&
		!OidIsValid(get_extension_oid(REPLACED_EXTENSION, true));
}

/*
 * The same statement for vecidx.  The caller's may be part of a cached plan and
 * stays as it is.  A version is pgvector's, and left out.
 */
static PlannedStmt *
create_ours(PlannedStmt *pstmt)
{
	PlannedStmt *result = copyObject(pstmt);
	CreateExtensionStmt *stmt = castNode(CreateExtensionStmt, result->utilityStmt);
	ListCell   *cell;

	stmt->extname = pstrdup(OUR_EXTENSION);
	foreach(cell, stmt->options)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, "new_version") == 0)
			stmt->options = foreach_delete_current(stmt->options, cell);
	}
	if (!OidIsValid(get_extension_oid(OUR_EXTENSION, true)))
		ereport(NOTICE,
				(errmsg("creating extension \"%s\" in place of \"%s\"", OUR_EXTENSION, REPLACED_EXTENSION),
				 errdetail("vecidx.replace_vector is on.")));
	return result;
}

static void
replace_vector_process_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
							   ProcessUtilityContext context, ParamListInfo params,
							   QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *qc)
{
	if (vecidx_replace_vector)
	{
		Node	   *stmt = pstmt->utilityStmt;

		if (IsA(stmt, CreateExtensionStmt) && is_replaced(((CreateExtensionStmt *) stmt)->extname))
		{
			pstmt = create_ours(pstmt);
			read_only_tree = false;
		}
		else if (IsA(stmt, CommentStmt) && ((CommentStmt *) stmt)->objtype == OBJECT_EXTENSION &&
				 is_replaced(strVal(((CommentStmt *) stmt)->object)))
		{
			/* What a dump says of pgvector is not true of vecidx: keep ours. */
			return;
		}
		else if (IsA(stmt, AlterExtensionStmt) && is_replaced(((AlterExtensionStmt *) stmt)->extname) &&
				 OidIsValid(get_extension_oid(OUR_EXTENSION, true)))
		{
			/* Migrations ask for a version of pgvector's, which says nothing of ours. */
			ereport(NOTICE,
					(errmsg("extension \"%s\" is \"%s\" here and stays as it is", REPLACED_EXTENSION, OUR_EXTENSION),
					 errdetail("vecidx.replace_vector is on."),
					 errhint("Update it by ALTER EXTENSION %s UPDATE.", OUR_EXTENSION)));
			return;
		}
	}

	if (next_process_utility)
		next_process_utility(pstmt, query_string, read_only_tree, context, params, query_env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context, params, query_env, dest, qc);
}

void
vecidx_replace_vector_init(void)
{
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = replace_vector_process_utility;
}
