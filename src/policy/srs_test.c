/* Unit tests of policy/srs: what is written can be read, by nobody else's secret, and not for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "policy/srs.h"

#define NOW_S INT64_C(1800000000)
#define DAY_S 86400
#define A50   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct view secret = VIEW_INIT("0123456789abcdef0123456789abcdef");
static const struct view other = VIEW_INIT("0123456789abcdef0123456789abcdeF");

/* On a heap block of its exact size, so that a read past its end is seen. */
static enum rc write_exact(const char *sender, struct buf *out)
{
    size_t n = strlen(sender);
    char *exact = malloc(n ? n : 1);
    memcpy(exact, sender, n);
    buf_reset(out);
    enum rc rc = srs_write(secret, view_of(exact, n), VIEW("ici.test"), NOW_S, out);
    free(exact);
    return rc;
}

static enum rc read_exact(struct view key, struct view address, int64_t now_s, struct buf *out)
{
    char *exact = malloc(address.n ? address.n : 1);
    if (address.n > 0)
        memcpy(exact, address.p, address.n);
    buf_reset(out);
    enum rc rc = srs_read(key, view_of(exact, address.n), now_s, out);
    free(exact);
    return rc;
}

static void expect(const struct buf *b, const char *text)
{
    assert_int_equal(b->n, strlen(text));
    assert_memory_equal(b->p, text, b->n);
}

/* The hashes were computed by Python's hmac and base64 modules. */
static void senders_become_ours_and_come_back(void **state)
{
    static const struct {
        const char *sender, *srs, *back; /* back NULL: the sender */
    } cases[] = {
        {"Marie@labas.test", "SRS0=QH2YLNCD=LB=labas.test=Marie@ici.test", NULL},
        {"a=b+c@labas.test", "SRS0=I5RLT4N6=LB=labas.test=a=b+c@ici.test", NULL},
        {"\"john doe\"@labas.test", "\"SRS0=WAIP32QI=LB=labas.test=john doe\"@ici.test", NULL},
        {"j\xc3\xbcrgen@labas.test", "SRS0=CR3ZDLKR=LB=labas.test=j\xc3\xbcrgen@ici.test", NULL},
        {"SRS0=hash=tt=labas.test=marie@vous.test", "SRS1=AX66JSRW=vous.test==hash=tt=labas.test=marie@ici.test", NULL},
        {"SRS0+hash=tt=labas.test=marie@vous.test", "SRS1=PWGBHZES=vous.test=+hash=tt=labas.test=marie@ici.test", NULL},
        {"SRS1=theirs=vous.test==hash=tt=labas.test=marie@eux.test", "SRS1=AX66JSRW=vous.test==hash=tt=labas.test=marie@ici.test",
         "SRS0=hash=tt=labas.test=marie@vous.test"},
    };
    struct buf srs, back;

    (void)state;
    buf_init(&srs, 1024);
    buf_init(&back, 1024);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(write_exact(cases[i].sender, &srs), RC_OK);
        expect(&srs, cases[i].srs);
        assert_true(srs_is_form(buf_view(&srs)));
        assert_int_equal(read_exact(secret, buf_view(&srs), NOW_S, &back), RC_OK);
        expect(&back, cases[i].back ? cases[i].back : cases[i].sender);
        assert_int_equal(read_exact(other, buf_view(&srs), NOW_S, &back), RC_DENIED);
    }
    buf_clear(&srs);
    buf_clear(&back);
}

static void what_cannot_be_written(void **state)
{
    static const struct {
        const char *sender;
        enum rc rc;
    } cases[] = {
        {"", RC_SYNTAX},
        {"marie", RC_SYNTAX},
        {"@labas.test", RC_SYNTAX},
        {"\"\"@labas.test", RC_SYNTAX},
        {"\"@labas.test", RC_SYNTAX},
        {"marie@", RC_SYNTAX},
        {"marie@[192.0.2.1]", RC_SYNTAX},
        {"marie@la=bas.test", RC_SYNTAX},
        {"ma\r\nrie@labas.test", RC_SYNTAX},
        {A50 A50 A50 A50 "aaaaaaaaaaaaaaaaa@labas.test", RC_OK}, /* 254 octets */
        {A50 A50 A50 A50 "aaaaaaaaaaaaaaaaaa@labas.test", RC_LIMIT},
    };
    struct buf out;

    (void)state;
    buf_init(&out, 1024);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(write_exact(cases[i].sender, &out), cases[i].rc);
        assert_true(cases[i].rc == RC_OK ? out.n == SRS_ADDRESS_MAX : out.n == 0);
    }
    buf_clear(&out);
}

static void forgeries_are_told(void **state)
{
    static const struct {
        const char *address;
        enum rc rc;
    } cases[] = {
        {"SRS0=QH2YLNCD=LB=labas.test=Marie@ici.test", RC_OK},
        {"srs0=qh2ylncd=lb=labas.test=marie@ICI.TEST", RC_OK}, /* folded on its way */
        {"SRS0-QH2YLNCD=LB=labas.test=Marie@ici.test", RC_OK}, /* the other separators of the paper */
        {"SRS0=QH2YLNCE=LB=labas.test=Marie@ici.test", RC_DENIED},
        {"SRS0=QH2YLNCD=LC=labas.test=Marie@ici.test", RC_DENIED},
        {"SRS0=QH2YLNCD=LB=labas.tesT=Pierre@ici.test", RC_DENIED},
        {"SRS0=QH2YLNCD=LB=labas.tes=tMarie@ici.test", RC_DENIED},
        {"SRS0=QH2YLNC=LB=labas.test=Marie@ici.test", RC_DENIED},
        {"SRS0=QH2YLNCDA=LB=labas.test=Marie@ici.test", RC_DENIED},
        {"SRS0==LB=labas.test=Marie@ici.test", RC_DENIED},
        {"SRS0=QH2YLNCD=LB=labas.test=@ici.test", RC_DENIED},
        {"SRS0=QH2YLNCD=LB=labas.test@ici.test", RC_DENIED},
        {"SRS0=@ici.test", RC_DENIED},
        {"SRS1=AX66JSRW=vous.test==hash=tt=labas.test=marie@ici.test", RC_OK},
        {"srs1=ax66jsrw=VOUS.test==hash=tt=labas.test=marie@ici.test", RC_OK},
        {"SRS1=AX66JSRW=nous.test==hash=tt=labas.test=marie@ici.test", RC_DENIED},
        {"SRS1=AX66JSRW=vous.test=hash=tt=labas.test=marie@ici.test", RC_DENIED},
        {"SRS1=QH2YLNCD=LB=labas.test=Marie@ici.test", RC_DENIED}, /* the hash of an SRS0 */
        {"SRS0=AX66JSRW=vous.test==hash=tt=labas.test=marie@ici.test", RC_DENIED},
        {"SRS1=@ici.test", RC_DENIED},
        {"SRS2=QH2YLNCD=LB=labas.test=Marie@ici.test", RC_NOTFOUND},
        {"SRS0.QH2YLNCD=LB=labas.test=Marie@ici.test", RC_NOTFOUND},
        {"SRS0@ici.test", RC_NOTFOUND},
        {"marie@ici.test", RC_NOTFOUND},
        {"SRS0=QH2YLNCD=LB=labas.test=Marie", RC_NOTFOUND},
        {"", RC_NOTFOUND},
    };
    struct buf out;

    (void)state;
    buf_init(&out, 1024);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_exact(secret, view_str(cases[i].address), NOW_S, &out), cases[i].rc);
        assert_true(cases[i].rc == RC_OK || out.n == 0);
    }
    buf_clear(&out);
}

static void addresses_grow_old(void **state)
{
    static const struct {
        int days;
        enum rc rc;
    } cases[] = {{0, RC_OK}, {1, RC_OK}, {SRS_LIFE_DAYS, RC_OK}, {SRS_LIFE_DAYS + 1, RC_TIMEOUT}, {1023, RC_TIMEOUT}, {-1, RC_TIMEOUT}};
    struct buf srs, back;

    (void)state;
    buf_init(&srs, 1024);
    buf_init(&back, 1024);
    for (int64_t began = 0; began < 1030; began += 103) { /* over the day on which the number begins again */
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            buf_reset(&srs);
            int64_t now_s = NOW_S + began * DAY_S;
            assert_int_equal(srs_write(secret, VIEW("marie@labas.test"), VIEW("ici.test"), now_s, &srs), RC_OK);
            assert_int_equal(read_exact(secret, buf_view(&srs), now_s + cases[i].days * DAY_S, &back), cases[i].rc);
        }
    }
    buf_clear(&srs);
    buf_clear(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(senders_become_ours_and_come_back),
        cmocka_unit_test(what_cannot_be_written),
        cmocka_unit_test(forgeries_are_told),
        cmocka_unit_test(addresses_grow_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
