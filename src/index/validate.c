/*
 * validate.c
 *		amvalidate, shared by the access methods.
 */
#include "vecidx.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "index/filter.h"
#include "index/opclass.h"
#include "index/radius.h"
#include "index/validate.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

static void
complain(const char *opclass, const char *what)
{
	ereport(INFO,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("operator class \"%s\" %s", opclass, what)));
}

/* The operators of a family: of a class of vectors, the distance and bounds of it. */
static bool
validate_distances(const char *name, Oid family, Oid type)
{
	CatCList   *operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family));
	bool		has_order = false;
	bool		result = true;

	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		if (op->amopstrategy == VECIDX_LESS_STRATEGY || op->amopstrategy == VECIDX_LESS_EQUAL_STRATEGY)
		{
			if (op->amoppurpose != AMOP_SEARCH || op->amoprighttype != FLOAT8OID ||
				!check_amop_signature(op->amopopr, BOOLOID, op->amoplefttype, FLOAT8OID))
			{
				complain(name, "has an operator for bounds of the distance of the wrong signature");
				result = false;
			}
			continue;
		}
		if (op->amopstrategy != VECIDX_ORDER_STRATEGY || op->amoppurpose != AMOP_ORDER)
		{
			complain(name, "has an operator other than the ordering by distance and bounds of it");
			result = false;
			continue;
		}
		if (!check_amop_signature(op->amopopr, FLOAT8OID, op->amoplefttype, op->amoprighttype) ||
			!opfamily_can_sort_type(op->amopsortfamily, FLOAT8OID))
		{
			complain(name, "has a distance operator of the wrong signature");
			result = false;
		}
		if (op->amoplefttype == type && op->amoprighttype == type)
			has_order = true;
	}
	ReleaseCatCacheList(operators);
	if (!has_order)
	{
		complain(name, "is missing its distance operator");
		result = false;
	}
	return result;
}

/* Of a class of filter columns: comparisons, or what arrays have. */
static bool
validate_filters(const char *name, Oid family, Oid type)
{
	CatCList   *operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family));
	bool		has_operator = false;
	bool		result = true;

	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		if (op->amopstrategy < BTLessStrategyNumber || op->amopstrategy > VECIDX_FILTER_CONTAINS ||
			op->amoppurpose != AMOP_SEARCH)
		{
			complain(name, "has an operator other than comparisons, && and @>");
			result = false;
			continue;
		}
		if (!check_amop_signature(op->amopopr, BOOLOID, op->amoplefttype, op->amoprighttype))
		{
			complain(name, "has an operator of the wrong signature");
			result = false;
		}
		if (op->amoplefttype == type && op->amoprighttype == type)
			has_operator = true;
	}
	ReleaseCatCacheList(operators);
	if (!has_operator)
	{
		complain(name, "is missing its operators");
		result = false;
	}
	return result;
}

bool
vecidx_validate(Oid opclassoid)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclassoid));
	Form_pg_opclass form;
	char	   *name;
	Oid			family;
	Oid			type;
	CatCList   *functions;
	int			support = 0;
	bool		result = true;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclassoid);
	form = (Form_pg_opclass) GETSTRUCT(tuple);
	name = pstrdup(NameStr(form->opcname));
	family = form->opcfamily;
	type = form->opcintype;
	ReleaseSysCache(tuple);

	functions = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(family));
	for (int i = 0; i < functions->n_members; i++)
	{
		Form_pg_amproc proc = (Form_pg_amproc) GETSTRUCT(&functions->members[i]->tuple);

		if ((proc->amprocnum != VECIDX_SUPPORT_PROC && proc->amprocnum != VECIDX_FILTER_PROC) ||
			!check_amproc_signature(proc->amproc, INTERNALOID, true, 1, 1, INTERNALOID))
		{
			complain(name, "has a support function of the wrong number or signature");
			result = false;
		}
		else if (proc->amproclefttype == type && proc->amprocrighttype == type)
		{
			if (support != 0)
			{
				complain(name, "has support functions of a vector and of a filter column");
				result = false;
			}
			support = proc->amprocnum;
		}
	}
	ReleaseCatCacheList(functions);

	if (support == 0)
	{
		complain(name, "is missing its support function");
		result = false;
	}
	else if (support == VECIDX_FILTER_PROC)
		result &= validate_filters(name, family, type);
	else
		result &= validate_distances(name, family, type);
	return result;
}
