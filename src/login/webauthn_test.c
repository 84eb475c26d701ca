/* ES256 and EdDSA are the test vectors of the specification (WebAuthn level 3 §16, "none.ES256" and "packed.EdDSA"), RS256 was made
 * by python3-cryptography. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cbor.h"
#include "crypto/cose.h"
#include "crypto/digest.h"
#include "crypto/hex.h"
#include "login/webauthn.h"

static const struct vector {
    const char *name, *attestation, *data, *client_data, *signature; /* hexadecimal */
} vectors[] = {
    {"es256",
     "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5"
     "e0f01452b2e4b559000000008446ccb9ab1db374750b2367ff6f3a1f0020f91f391db4c9b2fde0ea70189cba3fb63f579ba6122b33ad94"
     "ff3ec330084be4a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56"
     "b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220",
     "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000",
     "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a555854"
     "3049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267"
     "222c2263726f73734f726967696e223a66616c73657d",
     "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd"
     "5d78c6e486013f937295ea13653e331e87"},
    {"eddsa",
     "a363666d74667061636b65646761747453746d74a363616c67266373696758483046022100d83f60bd80269537583218858aefb03ac57d"
     "45fa06e42feaae332d187f62da9f022100a02bd3cb6f7e1d283c93bad1f3f4b5a4c0494463da7fdbf256949116754d1f17637835638159"
     "022730820223308201c8a003020102021100b2cfc9ea33c8643b0e1a760463eaf164300a06082a8648ce3d0403023062311e301c060355"
     "04030c15576562417574686e207465737420766563746f7273310c300a060355040a0c0357334331253023060355040b0c1c4175746865"
     "6e74696361746f72204174746573746174696f6e204341310b30090603550406130241413020170d3234303130313030303030305a180f"
     "33303234303130313030303030305a305f311e301c06035504030c15576562417574686e207465737420766563746f7273310c300a0603"
     "55040a0c0357334331223020060355040b0c1941757468656e74696361746f72204174746573746174696f6e310b300906035504061302"
     "41413059301306072a8648ce3d020106082a8648ce3d03010703420004dd2b7a564b73b8c0b81c4c62e521925c4d1198ec9f583dbf1eeb"
     "e364b65cd9c29a9bdf346aaa81fb6b9507e5249a52fdaf8e39e26b0b7dc45992a7e233b70f70a360305e300c0603551d130101ff040230"
     "00300e0603551d0f0101ff040403020780301d0603551d0e041604140ae27546bc7eccb1b4b597bd354f0c0b1f1f8f8e301f0603551d23"
     "04183016801445aff715b0dd786741fee996ebc16547a3931b1e300a06082a8648ce3d0403020349003046022100a0d434ecb5fc3bfd7d"
     "a5f41904517ad2836249f561bd834ba7a438a8ab7a4ce8022100fac845bb7a02513b58e9f319654dbe49b0f02b95835bac568c71f8a18c"
     "dde9ab6861757468446174615881bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b54100000000d5aa3358"
     "1e8ca478e20fe713f5d32ff20020ce9f840ed96599580cd140fbc7bb3230633f50f61041aff73308ae71caa8a2bda40101032720062158"
     "2044e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832",
     "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50100000000",
     "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a2269566c583442786a4f6d6d44534b4c596f7870"
     "557439736e364d48454f7943413135726947514a6e763949222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267"
     "222c2263726f73734f726967696e223a66616c73657d",
     "f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cfdfc48f85393bc0d40b011f0d6fecb097d6607525713223"
     "a0dc0d453993dae00b"},
    {"rs256",
     "a363666d74646e6f6e656761747453746d74a068617574684461746159014bbfabc37432958b063360d3ad6461c9c4735ae7f8edd46592"
     "a5e0f01452b2e4b5450000000700000000000000000000000000000000000461626364a401030339010020590100c361d5b8358681dcb9"
     "14f34989e0613ad7ad25fe3097ba24aa40e0107cd7ae6e2bcf0a0b47bd4cd6ba5783e41b1c95e8df4fe517b4c808231df0beaec1056f2d"
     "f7f33c925f5ad40dcc40c61d8eafc2f14905a422d7c7a96736d33f3fbaea2ca23dc5ee8cd385dee1a652cc64eb83e52b1f932ebd4fabca"
     "9bfecabe575e83c6b998feb797eff32fe193e61c5f64926a5937e5989700eb96f11b10b1e0bb8cc4e59d571c1df2b44921d16bad61142c"
     "2e08474c625cc303b913a272ba980b0fa2f68ea09ee0f347debcbc94541fff846dd2074a759e517efcef754842c3b3dc90d4545f58541b"
     "d5ec29d721a5747abf6b5bcfd15da532b35ac43e914ec6abc772c52143010001",
     "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50500000008",
     "7b2274797065223a22776562617574686e2e676574227d",
     "7f2a842e8028e014d31fc8056d5e6d908ec756b82b76b008f61e5594cdbf617b666ac335dc680295ecd3bab80b6c34d3a2ae10c8babb7b"
     "eef6f521eaa58555fb721c0834e312f7fefb52c46999ec529b647b298de1a8d5d7be29e53b5962c80476c432f2233c3583c33119c976f4"
     "b7d8f97a3821f51cf9b889a165147f9f4c27ba7a3134ba80af2ee4515537463492c97c8e0858820e7029553d5b65d89a1778cd3c1383d7"
     "f7ca41c8d53c36be2dd6514802fca5c3f6981ffa001b0df62f759113785a0b32fffff561d0d668b71b1daefc6a9a7d3b9a842180a7160f"
     "759899a079a5cbc98bd39ee17cc3439caad555187159bb6c83e161c2539525a7c1312d3f"},
};
#define N_VECTORS (sizeof vectors / sizeof *vectors)

/* From malloc, of exactly its size. */
static struct view bytes_of(const char *hex)
{
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(hex_decode(view_str(hex), &b), RC_OK);
    char *p = malloc(b.n ? b.n : 1);
    if (b.n > 0)
        memcpy(p, b.p, b.n);
    struct view v = view_of(p, b.n);
    buf_clear(&b);
    return v;
}

static void release(struct view v)
{
    free((void *)(uintptr_t)v.p);
}

static void what_is_signed_holds_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        const struct view attestation = bytes_of(vectors[i].attestation), data = bytes_of(vectors[i].data),
                          client = bytes_of(vectors[i].client_data), signature = bytes_of(vectors[i].signature);
        struct view new_data;
        struct webauthn_data made, used;
        uint8_t rp[SHA256_SIZE];

        assert_int_equal(webauthn_attestation_parse(attestation, &new_data), RC_OK);
        assert_int_equal(webauthn_data_parse(new_data, &made), RC_OK);
        assert_int_equal(sha256(VIEW("example.org"), rp), RC_OK);
        assert_memory_equal(made.rp, rp, sizeof rp);
        assert_true(made.present && made.id.n > 0 && made.key.n > 0);
        assert_int_equal(webauthn_data_parse(data, &used), RC_OK);
        assert_true(used.present && used.id.n == 0 && used.key.n == 0);
        assert_int_equal(used.verified, i == 2);
        assert_int_equal(used.count, i == 2 ? 8 : 0);
        assert_int_equal(webauthn_verify(made.key, data, client, signature), RC_OK);

        char *p = (char *)(uintptr_t)signature.p;
        for (size_t n = 0; n < signature.n; n += 7) {
            p[n] ^= 1;
            assert_int_equal(webauthn_verify(made.key, data, client, signature), RC_DENIED);
            p[n] ^= 1;
        }
        assert_int_equal(webauthn_verify(made.key, data, VIEW("{}"), signature), RC_DENIED);
        assert_int_equal(webauthn_verify(made.key, new_data, client, signature), RC_DENIED);
        assert_int_equal(webauthn_verify(made.key, data, client, VIEW("")), RC_DENIED);
        assert_int_equal(webauthn_verify(VIEW("\xa0"), data, client, signature), RC_SYNTAX);
        release(attestation);
        release(data);
        release(client);
        release(signature);
    }
}

static void cut_or_longer_data_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VECTORS; i++) {
        const struct view whole = bytes_of(vectors[i].attestation);
        struct view data;
        struct webauthn_data d;
        for (size_t n = 0; n < whole.n; n++) {
            char *exact = malloc(n ? n : 1);
            memcpy(exact, whole.p, n);
            assert_int_equal(webauthn_attestation_parse(view_of(exact, n), &data), RC_SYNTAX);
            free(exact);
        }
        assert_int_equal(webauthn_attestation_parse(whole, &data), RC_OK);
        for (size_t n = 0; n < data.n; n++) {
            char *exact = malloc(n ? n : 1);
            memcpy(exact, data.p, n);
            assert_int_equal(webauthn_data_parse(view_of(exact, n), &d), RC_SYNTAX);
            free(exact);
        }
        char *more = malloc(data.n + 1);
        memcpy(more, data.p, data.n);
        more[data.n] = 0;
        assert_int_equal(webauthn_data_parse(view_of(more, data.n + 1), &d), RC_SYNTAX);
        free(more);
        release(whole);
    }
    struct webauthn_data d;
    char *huge = calloc(1, WEBAUTHN_DATA_MAX + 1);
    assert_int_equal(webauthn_data_parse(view_of(huge, WEBAUTHN_DATA_MAX + 1), &d), RC_LIMIT);
    free(huge);
}

static void keys_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "a0", "a10102", "80", "01", "",
        /* ES256: no point of the curve; a coordinate too short; another curve */
        ("a50102032620012158200000000000000000000000000000000000000000000000000000000000000001225820000000000000000000000000000000000000"
         "0000000000000000000000000001"),
        "a5010203262001214101224101",
        ("a5010203262002215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61225820930a56b87a2fca66334b03458abf879717c1"
         "2cc68ed73290af2e2664796b9220"),
        /* RS256 with 8 bits; EdDSA said to be ES256; ES512 */
        "a401030339010020414f2143010001",
        "a401010326200621582044e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832",
        "a5010203382320032141012241" "01",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct view in = bytes_of(bad[i]), at = in, key;
        if (cose_key_take(&at, &key) == RC_OK)
            fail_msg("taken: %s", bad[i]);
        assert_true(at.n == in.n);
        release(in);
    }
}

static void cbor_is_read_in_its_one_form(void **state)
{
    (void)state;
    /* RFC 8949 Appendix A, and what is not canonical, not definite, cut, or too deep */
    static const char *const good[] = {"00", "17", "1818", "1903e8", "1a000f4240", "1b000000e8d4a51000", "20", "3863", "40", "4401020304", "60",
                                       "6449455446", "80", "83010203", "8301820203820405", "a0", "a201020304", "a26161016162820203", "f4", "f5", "f6",
                                       "8180", "81818181818180"};
    static const char *const bad[] = {"", "18", "1817", "190017", "1a00000017", "1b0000000000000017", "1c", "1f", "44010203", "5f42010243030405ff",
                                      "9fff", "bfff", "9b7fffffffffffffff", "bb7fffffffffffffff", "830102", "a101", "c074", "f0", "f818", "f93c00",
                                      "fb3ff199999999999a", "ff", "81818181818181818180"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct view in = bytes_of(good[i]), at = in;
        if (cbor_skip(&at) != RC_OK || at.n != 0)
            fail_msg("refused: %s", good[i]);
        release(in);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct view in = bytes_of(bad[i]), at = in;
        if (cbor_skip(&at) == RC_OK)
            fail_msg("taken: %s", bad[i]);
        assert_true(at.n == in.n);
        release(in);
    }
    struct view in = bytes_of("3b7fffffffffffffff"), at = in;
    int64_t n;
    assert_true(cbor_take_number(&at, &n) && n == INT64_MIN);
    release(in);
    in = at = bytes_of("3b8000000000000000");
    assert_false(cbor_take_number(&at, &n));
    release(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_signed_holds_and_nothing_else),
        cmocka_unit_test(cut_or_longer_data_is_refused),
        cmocka_unit_test(keys_that_are_none_are_refused),
        cmocka_unit_test(cbor_is_read_in_its_one_form),
    };
    return cmocka_run_group_tests_name("webauthn", tests, NULL, NULL);
}
