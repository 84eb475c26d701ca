#include "app/destination.h"

#include "crypto/hex.h"
#include "dns/dns.h"

static bool take_domain(struct view v, struct arena *a, struct config_destination *out)
{
    struct view ascii;
    bool below = view_take(&v, VIEW("*."));
    if (v.n == 0 || v.p[0] == '[' || view_chr(v, '*') != VIEW_NONE || dns_domain_ascii(v, a, &ascii) != RC_OK)
        return false;
    out->domain = arena_printf(a, "%s%.*s", below ? "*." : "", VIEW_FMT(ascii));
    return out->domain != NULL;
}

static bool take_tls(struct view v, struct config_destination *out)
{
    static const struct {
        struct view word;
        int tls;
    } words[] = {{VIEW_INIT("optional"), DESTINATION_OPTIONAL},
                 {VIEW_INIT("legacy"), DESTINATION_LEGACY},
                 {VIEW_INIT("encrypted"), DESTINATION_ENCRYPTED},
                 {VIEW_INIT("required"), DESTINATION_REQUIRED}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!view_eq(v, words[i].word))
            continue;
        out->tls = words[i].tls;
        return true;
    }
    return false;
}

static bool take_mx(struct view v, struct arena *a, struct config_destination *out)
{
    struct config_destination name = {0};
    if (out->n_mx == DESTINATION_MX_MAX || !take_domain(v, a, &name))
        return false;
    out->mx[out->n_mx++] = name.domain;
    return true;
}

static bool take_key(struct view v, struct config_destination *out)
{
    struct buf b;
    buf_init(&b, 32);
    bool ok = out->n_keys < DESTINATION_KEYS_MAX && hex_decode(v, &b) == RC_OK && b.n == 32;
    if (ok)
        memcpy(out->keys[out->n_keys++], b.p, 32);
    buf_clear(&b);
    return ok;
}

static bool take_word(struct view word, struct arena *a, struct config_destination *out)
{
    struct view name;
    if (!view_split(&word, '=', &name) || word.n == 0)
        return false;
    if (view_eq(name, VIEW("tls")))
        return out->tls == DESTINATION_PUBLISHED && take_tls(word, out);
    if (view_eq(name, VIEW("mx")))
        return take_mx(word, a, out);
    if (view_eq(name, VIEW("key")))
        return take_key(word, out);
    if (!view_eq(name, VIEW("trust")) || out->trust)
        return false;
    out->trust = arena_cstr(a, word);
    return out->trust != NULL;
}

enum rc destination_parse(struct view text, struct arena *a, struct config_destination *out, const char **why)
{
    struct view rest = view_trim(text), word;
    *out = (struct config_destination){.tls = DESTINATION_PUBLISHED};
    view_split(&rest, ' ', &word);
    if (!take_domain(word, a, out)) {
        *why = "'destination' must begin with a domain, or \"*.\" and a domain for all below it";
        return RC_SYNTAX;
    }
    while (rest.n > 0) {
        view_split(&rest, ' ', &word);
        if (word.n > 0 && !take_word(word, a, out)) {
            *why = arena_printf(a, "'%.*s' is not a word of 'destination': tls=optional, legacy, encrypted or required, mx=HOST or "
                                   "mx=*.DOMAIN, trust=FILE, key=SHA-256 (64 hexadecimal digits)", VIEW_FMT(word));
            return *why ? RC_SYNTAX : RC_TEMP;
        }
    }
    bool proves = out->trust || out->n_keys > 0;
    if (out->tls == DESTINATION_PUBLISHED && (proves || out->n_mx > 0))
        out->tls = DESTINATION_REQUIRED;
    if (out->tls == DESTINATION_PUBLISHED || (proves && out->tls != DESTINATION_REQUIRED)) {
        *why = proves ? "'trust' and 'key' of a 'destination' go with tls=required" : "a 'destination' needs a word behind its domain";
        return RC_SYNTAX;
    }
    return RC_OK;
}
