/* Unit tests of sys/board: counts add up over processes and threads, sessions come and go, a dead process leaves nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/board.h"

static size_t word_of(enum board_family f, const char *word)
{
    for (size_t i = 0; board_about(f)->words[i]; i++)
        if (strcmp(board_about(f)->words[i], word) == 0)
            return i;
    fail_msg("no word %s", word);
    return 0;
}

static void *count_many(void *unused)
{
    for (int i = 0; i < 10000; i++)
        board_count(BOARD_DELIVERIES, "sent");
    return unused;
}

static void nothing_is_counted_without_a_board(void **state)
{
    (void)state;
    struct board_session s[1];
    size_t total;
    board_count(BOARD_SPF, "pass");
    assert_int_equal(board_get(BOARD_SPF, 0), 0);
    assert_int_equal(board_enter("smtp", "192.0.2.1"), 0);
    board_leave(0);
    assert_int_equal(board_sessions(s, 1, &total), 0);
    assert_int_equal(board_open(), RC_OK);
}

static void every_family_can_be_named(void **state)
{
    (void)state;
    for (enum board_family f = 0; f < BOARD_FAMILIES; f++) {
        const struct board_about *a = board_about(f);
        size_t n = 0;
        assert_true(a->name && a->label && a->help);
        while (n < BOARD_WORDS && a->words[n])
            n++;
        assert_true(n > 0);
        assert_string_equal(a->words[n - 1], "other");
    }
}

static void counts_of_all_add_up(void **state)
{
    (void)state;
    pthread_t threads[4];
    uint64_t minutes[BOARD_MINUTES], sum = 0;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, NULL), 0);
    pid_t pid = fork();
    if (pid == 0) {
        count_many(NULL);
        _exit(0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    waitpid(pid, NULL, 0);
    assert_int_equal(board_get(BOARD_DELIVERIES, word_of(BOARD_DELIVERIES, "sent")), 50000);
    board_minutes(RATE_SENT, minutes);
    for (int i = 0; i < BOARD_MINUTES; i++)
        sum += minutes[i];
    assert_int_equal(sum, 50000);
    board_minutes(RATE_BOUNCED, minutes);
    assert_int_equal(minutes[BOARD_MINUTES - 1], 0);
    board_count(BOARD_DELIVERIES, "bounced");
    board_count(BOARD_DELIVERIES, "dropped");
    board_count(BOARD_DELIVERIES, "no such word");
    assert_int_equal(board_get(BOARD_DELIVERIES, word_of(BOARD_DELIVERIES, "other")), 1);
}

static void sessions_come_and_go(void **state)
{
    (void)state;
    struct board_session s[4];
    size_t total;
    unsigned place = board_enter("imaps", "2001:db8::1");
    assert_true(place > 0);
    board_name(place, VIEW("anne@ici.test"));
    board_tls(place, "TLSv1.3");
    assert_int_equal(board_sessions(s, 4, &total), 1);
    assert_string_equal(s[0].service, "imaps");
    assert_string_equal(s[0].peer, "2001:db8::1");
    assert_string_equal(s[0].account, "anne@ici.test");
    assert_string_equal(s[0].tls, "TLSv1.3");
    assert_true(s[0].since_s > 0);
    board_leave(place);
    assert_int_equal(board_sessions(s, 4, &total), 0);
}

static void a_full_board_shows_what_it_can(void **state)
{
    (void)state;
    struct board_session *s = calloc(BOARD_SESSIONS, sizeof *s);
    unsigned *places = calloc(BOARD_SESSIONS * 2, sizeof *places);
    size_t total, n_taken = 0;
    for (size_t i = 0; i < BOARD_SESSIONS * 2; i++)
        n_taken += (places[i] = board_enter("smtp", "192.0.2.1")) > 0;
    assert_true(n_taken <= BOARD_SESSIONS && n_taken > BOARD_SESSIONS / 2);
    assert_int_equal(board_sessions(s, BOARD_SESSIONS, &total), n_taken);
    assert_int_equal(board_sessions(s, 3, &total), 3);
    assert_int_equal(total, n_taken);
    for (size_t i = 0; i < BOARD_SESSIONS * 2; i++)
        board_leave(places[i]);
    assert_int_equal(board_sessions(s, 3, &total), 0);
    free(places);
    free(s);
}

static void a_dead_process_leaves_nothing(void **state)
{
    (void)state;
    struct board_session s[4];
    struct board_process processes[BOARD_PROCESSES];
    size_t total;
    pid_t pid = fork();
    if (pid == 0) {
        board_enter("smtp", "192.0.2.1");
        _exit(0);
    }
    board_process(2, "mta", (uint32_t)pid);
    waitpid(pid, NULL, 0);
    assert_int_equal(board_sessions(s, 4, &total), 1);
    assert_int_equal(board_processes(processes), 1);
    assert_string_equal(processes[0].name, "mta");
    board_process(2, "mta", 0);
    assert_int_equal(board_sessions(s, 4, &total), 0);
    assert_int_equal(board_processes(processes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_counted_without_a_board), cmocka_unit_test(every_family_can_be_named),
        cmocka_unit_test(counts_of_all_add_up),               cmocka_unit_test(sessions_come_and_go),
        cmocka_unit_test(a_full_board_shows_what_it_can),     cmocka_unit_test(a_dead_process_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
