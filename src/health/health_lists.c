/* DNS blocklists (RFC 5782): whether the addresses of the MX hosts, and those that our mail leaves from, stand on one. Which lists are
 * asked is the operator's choice; each is tried first with the addresses that RFC 5782 §5 sets aside, for a list that has ended, or that
 * does not answer those who ask through a public resolver, must not be taken at its word. */
#include "health/health_impl.h"

#define LISTED_MAX 32

/* The address in reverse before the list's name (RFC 5782 §2.1, §2.4). NULL: no memory. */
static const char *list_name(struct look *l, const struct addr *addr, const char *list)
{
    struct buf name;
    char ip[ADDR_TEXT_MAX];
    const char *out = NULL;
    buf_init(&name, DNS_NAME_MAX);
    addr_write_ip(addr, ip);
    if (addr_is_ipv6(addr)) {
        struct addr_net net;
        if (addr_net_parse(view_str(ip), &net) == RC_OK)
            for (int i = 15; i >= 0; i--)
                buf_printf(&name, "%x.%x.", net.bytes[i] & 15, net.bytes[i] >> 4);
    } else {
        struct view rest = view_str(ip), part[4] = {{0}};
        for (int i = 3; i >= 0; i--)
            view_split(&rest, '.', &part[i]);
        for (int i = 0; i < 4; i++)
            buf_printf(&name, "%.*s.", VIEW_FMT(part[i]));
    }
    buf_str(&name, list);
    if (buf_rc(&name) == RC_OK)
        out = arena_cstr(l->a, buf_view(&name));
    buf_clear(&name);
    return out;
}

enum listed { LISTED_NO, LISTED_YES, LISTED_ERROR, LISTED_UNKNOWN };

/* 127.255.255.0/24 is how large lists say that the question is refused; other answers than 127.0.0.0/8 come from those who answer
 * for everything. */
static enum listed ask(struct look *l, const struct addr *addr, const char *list, const char **name)
{
    struct dns_answer answer;
    *name = list_name(l, addr, list);
    if (!*name)
        return LISTED_UNKNOWN;
    dns_query(l->set->dns, view_str(*name), DNS_A, l->deadline_ms, l->a, &answer);
    if (answer.status == DNS_TEMP || answer.status == DNS_BOGUS)
        return LISTED_UNKNOWN;
    for (size_t i = 0; answer.status == DNS_OK && i < answer.n; i++) {
        const struct view ip = answer.rdata[i];
        if (ip.n != 4 || ip.p[0] != 127 || ((unsigned char)ip.p[1] == 255 && (unsigned char)ip.p[2] == 255))
            return LISTED_ERROR;
    }
    return answer.status == DNS_OK && answer.n > 0 ? LISTED_YES : LISTED_NO;
}

static bool list_works(struct look *l, const char *list)
{
    struct addr listed, clean;
    const char *name;
    addr_parse_ip(VIEW("127.0.0.2"), 0, &listed);
    addr_parse_ip(VIEW("127.0.0.1"), 0, &clean);
    const enum listed yes = ask(l, &listed, list, &name), no = ask(l, &clean, list, &name);
    if (yes == LISTED_YES && no == LISTED_NO)
        return true;
    if (yes == LISTED_ERROR || no == LISTED_ERROR)
        health_say(l, "list.works", HEALTH_NOTE, view_str(list), "Use a resolver of your own, and mind the list's rules of use.",
                   "This blocklist does not answer us (often because the question came through a public resolver).");
    else
        health_say(l, "list.works", HEALTH_NOTE, view_str(list), "Take it out of health { blocklists }.",
                   "This blocklist does not work: its test addresses are not answered as RFC 5782 says.");
    return false;
}

static bool look_at_address(struct look *l, struct view subject, const struct addr *addr, const char *list)
{
    struct dns_answer answer;
    struct view *texts;
    const char *name;
    char ip[ADDR_TEXT_MAX];
    size_t n;
    addr_write_ip(addr, ip);
    switch (ask(l, addr, list, &name)) {
    case LISTED_NO:
    case LISTED_ERROR: return false;
    case LISTED_UNKNOWN:
        health_say(l, "list.listed", HEALTH_UNKNOWN, subject, "Try again later.", "%s: the blocklist %s does not answer.", ip, list);
        return true;
    case LISTED_YES: break;
    }
    dns_txt(l->set->dns, view_str(name), l->deadline_ms, l->a, &answer, &texts, &n);
    health_say(l, "list.listed", HEALTH_BAD, subject,
               "Find out what was sent from there, end it, then ask the list to take the address off; its words tell where.",
               "%s stands on the blocklist %s: %.*s", ip, list, VIEW_FMT(n > 0 ? texts[0] : VIEW("-")));
    return true;
}

void health_lists(struct look *l)
{
    const struct health_settings *set = l->set;
    for (size_t i = 0; i < set->n_blocklists && !health_is_over(l); i++) {
        size_t asked = 0, told = 0;
        health_progress(l, "the blocklist", view_str(set->blocklists[i]));
        if (!list_works(l, set->blocklists[i]))
            continue;
        for (size_t h = 0; h < l->n_hosts; h++)
            for (size_t k = 0; k < l->hosts[h].n_addrs && k < HEALTH_ADDRS_MAX && asked < LISTED_MAX; k++, asked++)
                told += look_at_address(l, l->hosts[h].name, &l->hosts[h].addrs[k], set->blocklists[i]);
        for (size_t k = 0; set->ours && k < set->n_sources && asked < LISTED_MAX; k++, asked++)
            told += look_at_address(l, l->out->domain, &set->sources[k], set->blocklists[i]);
        if (asked > 0 && told == 0)
            health_say(l, "list.listed", HEALTH_GOOD, l->out->domain, NULL, "No address stands on the blocklist %s.", set->blocklists[i]);
    }
}
