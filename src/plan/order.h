/*
 * order.h
 *		Index scans for orders that the planner does not see an index has.
 */
#ifndef VECIDX_ORDER_H
#define VECIDX_ORDER_H

/* Installs the planner hook. */
extern void vecidx_order_init(void);

#endif							/* VECIDX_ORDER_H */
