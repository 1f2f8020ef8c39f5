/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* SipHash-2-4 (Aumasson and Bernstein, 2012) of a struct sealed: 64 bytes, a multiple of 8, so
 * that the last block is only the length. */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LITTLE_ENDIAN_64(x) (x)
#else
#define LITTLE_ENDIAN_64(x) __builtin_bswap64(x)
#endif

struct siphash {
	__u64 v0, v1, v2, v3;
};

#define ROTATE(x, n) (((x) << (n)) | ((x) >> (64 - (n))))

static __always_inline void sip_round(struct siphash *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = ROTATE(s->v1, 13) ^ s->v0;
	s->v3 = ROTATE(s->v3, 16) ^ s->v2;
	s->v0 = ROTATE(s->v0, 32) + s->v3;
	s->v2 += s->v1;
	s->v3 = ROTATE(s->v3, 21) ^ s->v0;
	s->v1 = ROTATE(s->v1, 17) ^ s->v2;
	s->v2 = ROTATE(s->v2, 32);
}

static __always_inline void sip_word(struct siphash *s, __u64 word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

/* The tag by a key of two words, as it stands in a header. */
static __always_inline __u64 seal_with(const struct sealed *m, const __u64 *key)
{
	struct siphash s;
	const __u64 *words = (const void *)m;
	__u64 k0 = LITTLE_ENDIAN_64(key[0]), k1 = LITTLE_ENDIAN_64(key[1]);

	s.v0 = k0 ^ 0x736f6d6570736575ULL;
	s.v1 = k1 ^ 0x646f72616e646f6dULL;
	s.v2 = k0 ^ 0x6c7967656e657261ULL;
	s.v3 = k1 ^ 0x7465646279746573ULL;
#define WORD(i) sip_word(&s, LITTLE_ENDIAN_64(words[i]));
	WORD(0) WORD(1) WORD(2) WORD(3) WORD(4) WORD(5) WORD(6) WORD(7)
	sip_word(&s, (__u64)sizeof(*m) << 56);
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return LITTLE_ENDIAN_64(s.v0 ^ s.v1 ^ s.v2 ^ s.v3);
}

static __always_inline __u64 seal(const struct sealed *m, const struct backplane *b)
{
	return seal_with(m, b->key);
}
