/*
 * probe.h
 *		A look at the rows nearest to a query while it is planned, for what
 *		statistics cannot tell: whether conditions outside an index go with the
 *		distance.
 */
#ifndef VECIDX_PROBE_H
#define VECIDX_PROBE_H

/* Installs the planner hook. */
extern void vecidx_probe_init(void);

#endif							/* VECIDX_PROBE_H */
