/*
 * range_impl.h
 *		Which codes of an array lie in a range, for one instruction-set level:
 *		a template, included by simd_impl.h; no include guard.
 *
 * From the level, for each width of 8, 16, 32 and 64 bits:
 *	vr_set8(x)			x in each lane of a VB
 *	vr_within8(v, low, span)	a bit for each lane of v: whether lane - low, modulo
 *						2^8, is at most span
 *	RANGE_HAS_64		defined where there is such a comparison of 64 bits
 *	vr_part8(p, k)		first k lanes, 0 < k < all, nothing past them touched;
 *						where undefined the last codes go one by one
 */
#define RANGE_KERNEL(bits_) \
static uint64_t \
KERNEL(range_u##bits_) (const void *codes, int n, uint64_t low, uint64_t high) \
{ \
	const uint##bits_##_t *c = codes; \
	uint##bits_##_t from = (uint##bits_##_t) low; \
	uint##bits_##_t span = (uint##bits_##_t) (high - low); \
	uint64_t	result = 0; \
	int			i = 0; \
\
	RANGE_VECTORS(bits_) \
	for (; i < n; i++) \
		result |= (uint64_t) ((uint##bits_##_t) (c[i] - from) <= span) << i; \
	return result; \
}

#define RANGE_LANES(bits_) (8 * VB_BYTES / (bits_))

#ifdef vr_part8
#define RANGE_VECTORS(bits_) \
	VB			vlow = vr_set##bits_(from); \
	VB			vspan = vr_set##bits_(span); \
\
	for (; i <= n - RANGE_LANES(bits_); i += RANGE_LANES(bits_)) \
		result |= (uint64_t) vr_within##bits_(vb_load((const void *) (c + i)), vlow, vspan) << i; \
	if (i < n) \
	{ \
		result |= ((uint64_t) vr_within##bits_(vr_part##bits_(c + i, n - i), vlow, vspan) & \
				   ((UINT64_C(1) << (n - i)) - 1)) << i; \
		i = n; \
	}
#else
#define RANGE_VECTORS(bits_) \
	VB			vlow = vr_set##bits_(from); \
	VB			vspan = vr_set##bits_(span); \
\
	for (; i <= n - RANGE_LANES(bits_); i += RANGE_LANES(bits_)) \
		result |= (uint64_t) vr_within##bits_(vb_load((const void *) (c + i)), vlow, vspan) << i;
#endif

RANGE_KERNEL(8)
RANGE_KERNEL(16)
RANGE_KERNEL(32)

#ifndef RANGE_HAS_64
#undef RANGE_VECTORS
#define RANGE_VECTORS(bits_)
#endif
RANGE_KERNEL(64)
