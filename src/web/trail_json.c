#include "web/trail_json.h"

#include <stdio.h>
#include <time.h>

#include "base/json_text.h"
#include "base/utf8.h"
#include "trail/words.h"

#define TEXT_MAX 8192

/* With milliseconds, as the log has it: steps follow each other fast. */
static json_t *time_json(int64_t ms)
{
    char out[40] = "";
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    if (gmtime_r(&s, &tm)) {
        size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(out + n, sizeof out - n, ".%03dZ", (int)(ms % 1000));
    }
    return json_string(out);
}

static json_t *hex(uint64_t id)
{
    char out[24] = "";
    if (id)
        snprintf(out, sizeof out, "%llx", (unsigned long long)id);
    return json_string(out);
}

/* Reasons, as the server wrote them down, in another language. Addresses and what else others named are no reasons. */
static json_t *said(struct view name, struct view value, enum lang lang)
{
    static const char *const names[] = {"reason", "reply", "policy", "by", "kind", "end"};
    struct buf out;
    json_t *j = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !j && lang != LANG_EN; i++) {
        if (!view_eq(name, view_str(names[i])))
            continue;
        buf_init(&out, TEXT_MAX);
        trail_say(value, lang, &out);
        if (buf_rc(&out) == RC_OK)
            j = json_text(buf_view(&out));
        buf_clear(&out);
    }
    return j ? j : json_text(value);
}

static json_t *fields_json(const struct trail_line *l, bool part, enum lang lang, struct arena *a)
{
    json_t *j = json_object();
    struct view rest = l->fields, name, raw, value;
    char key[64];
    while (trail_next_field(&rest, &name, &raw))
        if (!(part && trace_hides(name)) && view_cstr(name, key, sizeof key) == RC_OK && trail_value(raw, a, &value) == RC_OK &&
            utf8_is_valid(name))
            json_object_set_new(j, key, said(name, value, lang));
    return j;
}

json_t *trail_line_json(const struct trail_line *l, struct arena *a)
{
    return json_pack("{s:o, s:s, s:o, s:o, s:o}", "at", time_json(l->at_ms), "level", trail_level_name(l->level), "process", json_text(l->process),
                     "event", json_text(l->event), "fields", fields_json(l, false, LANG_EN, a));
}

/* --- sentences --- */

/* What %s stands for: fields of the line, "a|b" the first that is not empty. */
struct sentence {
    const char *event;
    const char *fields[4];
    const char *en;
};
static const struct sentence sentences[] = {
    {"smtp.auth.ok", {"login", "peer"}, "%.*s logged in from %.*s."},
    {"smtp.auth.failed", {"name", "peer", "reason"}, "A login as %.*s from %.*s failed: %.*s."},
    {"net.tls.failed", {"peer", "reason"}, "The TLS handshake with %.*s failed: %.*s."},
    {"smtp.mail.rejected", {"sender", "code", "reason"}, "The sender %.*s was refused: %.*s %.*s."},
    {"smtp.rcpt.rejected", {"rcpt", "code", "reason"}, "The recipient %.*s was refused: %.*s %.*s."},
    {"smtp.rcpt.returned", {"rcpt", "to"}, "%.*s is an address of ours for bounces: it leads to %.*s."},
    {"smtp.message.accepted", {"peer", "helo", "tls", "service"}, "Taken from %.*s, which calls itself %.*s (TLS: %.*s; %.*s)."},
    {"web.message.accepted", {"login", "peer"}, "Taken from %.*s over the HTTP API (%.*s)."},
    {"smtp.message.rejected", {"peer", "code", "reason"}, "The message of %.*s was refused: %.*s %.*s."},
    {"smtp.forward.unproven", {"to"}, "Passed on to %.*s, but not in our name: nothing proves the author."},
    {"smtp.session.end", {"peer", "end", "last"}, "The connection of %.*s ended (%.*s, after %.*s)."},
    {"queue.delivered", {"to", "folder"}, "Put into the mailbox of %.*s (%.*s)."},
    {"queue.sent", {"mx", "to", "reply"}, "%.*s took it for %.*s: %.*s."},
    {"queue.deferred", {"to", "mx", "reply|reason"}, "Not yet for %.*s, it is tried again. %.*s: %.*s."},
    {"queue.bounced", {"to", "reply|reason"}, "It failed for %.*s, and the sender was told: %.*s."},
    {"queue.dropped", {"to", "reply|reason"}, "It failed for %.*s, and nobody is to be told: %.*s."},
    {"queue.local.failed", {"to", "reason"}, "The mailbox of %.*s did not take it, it is tried again: %.*s."},
    {"queue.notice", {"kind", "to"}, "A notice (%.*s) was written to %.*s."},
    {"queue.mx.connected", {"mx", "address", "tls", "reason"}, "Connected to %.*s [%.*s] (TLS: %.*s; %.*s)."},
    {"queue.mx.failed", {"mx", "address", "reason"}, "%.*s [%.*s] did not serve: %.*s."},
    {"queue.tls.failed", {"mx", "reason"}, "TLS with %.*s failed, so it goes in clear: %.*s."},
    {"queue.held", {"by"}, "Held by %.*s."},
    {"queue.released", {"by"}, "Let go by %.*s."},
    {"queue.flushed", {"by"}, "Tried at once, for %.*s."},
    {"queue.removed", {"by"}, "Removed from the queue by %.*s."},
};
const struct lang_pair trail_words[] = {
    {"%.*s logged in from %.*s.", "%.*s s'est connecté depuis %.*s."},
    {"A login as %.*s from %.*s failed: %.*s.", "Une connexion au nom de %.*s depuis %.*s a échoué : %.*s."},
    {"The TLS handshake with %.*s failed: %.*s.", "La négociation TLS avec %.*s a échoué : %.*s."},
    {"The sender %.*s was refused: %.*s %.*s.", "L'expéditeur %.*s a été refusé : %.*s %.*s."},
    {"The recipient %.*s was refused: %.*s %.*s.", "Le destinataire %.*s a été refusé : %.*s %.*s."},
    {"%.*s is an address of ours for bounces: it leads to %.*s.", "%.*s est une de nos adresses de retour : elle mène à %.*s."},
    {"Taken from %.*s, which calls itself %.*s (TLS: %.*s; %.*s).", "Reçu de %.*s, qui se nomme %.*s (TLS : %.*s ; %.*s)."},
    {"Taken from %.*s over the HTTP API (%.*s).", "Reçu de %.*s par l'API HTTP (%.*s)."},
    {"The message of %.*s was refused: %.*s %.*s.", "Le message de %.*s a été refusé : %.*s %.*s."},
    {"Passed on to %.*s, but not in our name: nothing proves the author.", "Transmis à %.*s, mais pas en notre nom : rien ne prouve l'auteur."},
    {"The connection of %.*s ended (%.*s, after %.*s).", "La connexion de %.*s s'est terminée (%.*s, après %.*s)."},
    {"Put into the mailbox of %.*s (%.*s).", "Déposé dans la boîte de %.*s (%.*s)."},
    {"%.*s took it for %.*s: %.*s.", "%.*s l'a pris pour %.*s : %.*s."},
    {"Not yet for %.*s, it is tried again. %.*s: %.*s.", "Pas encore pour %.*s, un nouvel essai suivra. %.*s : %.*s."},
    {"It failed for %.*s, and the sender was told: %.*s.", "Échec pour %.*s, l'expéditeur a été prévenu : %.*s."},
    {"It failed for %.*s, and nobody is to be told: %.*s.", "Échec pour %.*s, sans personne à prévenir : %.*s."},
    {"The mailbox of %.*s did not take it, it is tried again: %.*s.", "La boîte de %.*s ne l'a pas pris, un nouvel essai suivra : %.*s."},
    {"A notice (%.*s) was written to %.*s.", "Un avis (%.*s) a été envoyé à %.*s."},
    {"Connected to %.*s [%.*s] (TLS: %.*s; %.*s).", "Connecté à %.*s [%.*s] (TLS : %.*s ; %.*s)."},
    {"%.*s [%.*s] did not serve: %.*s.", "%.*s [%.*s] n'a pas répondu comme il faut : %.*s."},
    {"TLS with %.*s failed, so it goes in clear: %.*s.", "TLS avec %.*s a échoué, l'envoi se fait en clair : %.*s."},
    {"Held by %.*s.", "Retenu par %.*s."},
    {"Let go by %.*s.", "Libéré par %.*s."},
    {"Tried at once, for %.*s.", "Essayé aussitôt, pour %.*s."},
    {"Removed from the queue by %.*s.", "Retiré de la file par %.*s."},
    {" SPF: %.*s. DKIM: %.*s. DMARC: %.*s.", " SPF : %.*s. DKIM : %.*s. DMARC : %.*s."},
    {"delivered", "remis"},
    {"accepted", "accepté, en file"},
    {"deferred", "différé"},
    {"refused", "refusé"},
    {"bounced", "retourné"},
    {"removed", "retiré"},
    {NULL, NULL},
};

/* A sentence's argument in its language. Without memory it stays as it is. */
static struct view say_field(struct view value, enum lang lang, struct arena *a)
{
    struct buf out;
    buf_init(&out, TEXT_MAX);
    trail_say(value, lang, &out);
    if (buf_rc(&out) == RC_OK)
        view_dup(a, buf_view(&out), &value);
    buf_clear(&out);
    return value;
}

static struct view field_of(const struct trail_line *l, const char *names, bool part, enum lang lang, struct arena *a)
{
    struct view rest = view_str(names), name, value = {0};
    char one[32];
    if (!names)
        return VIEW("");
    while (value.n == 0 && rest.n > 0) {
        view_split(&rest, '|', &name);
        if (!(part && trace_hides(name) && !view_eq(name, VIEW("to"))) && view_cstr(name, one, sizeof one) == RC_OK)
            value = trail_field(l, one, a);
    }
    while (value.n > 0 && value.p[value.n - 1] == '.') /* the sentence has its own */
        value.n--;
    if (lang != LANG_EN)
        value = say_field(value, lang, a);
    return value.n > 0 ? value : VIEW("-");
}

static void add_verdicts(const struct trail_line *l, enum lang lang, struct arena *a, struct buf *out)
{
    struct view spf = trail_field(l, "spf", a), dkim = trail_field(l, "dkim", a), dmarc = trail_field(l, "dmarc", a);
    if (dmarc.n > 0)
        lang_printf(out, trail_words, lang, " SPF: %.*s. DKIM: %.*s. DMARC: %.*s.", VIEW_FMT(spf), VIEW_FMT(dkim), VIEW_FMT(dmarc));
}

/* Every sentence takes up to four texts; a format uses as many as it has. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
void trail_step_text(const struct trail_line *l, bool part, enum lang lang, struct arena *a, struct buf *out)
{
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
        const struct sentence *s = &sentences[i];
        struct view v[4];
        if (!view_eq(l->event, view_str(s->event)))
            continue;
        for (size_t k = 0; k < 4; k++)
            v[k] = field_of(l, s->fields[k], part, lang, a);
        lang_printf(out, trail_words, lang, s->en, VIEW_FMT(v[0]), VIEW_FMT(v[1]), VIEW_FMT(v[2]), VIEW_FMT(v[3]));
        add_verdicts(l, lang, a, out);
        return;
    }
    buf_add(out, l->event);
    struct view reason = trail_field(l, "reason", a);
    if (reason.n > 0) {
        buf_str(out, lang == LANG_FR ? " : " : ": ");
        trail_say(reason, lang, out);
    }
}
#pragma GCC diagnostic pop

json_t *trace_json(const struct trace *t, enum lang lang, struct arena *a)
{
    json_t *steps = json_array(), *recipients = json_array();
    struct buf words;
    buf_init(&words, TEXT_MAX);
    for (size_t i = 0; i < t->n_steps; i++) {
        const struct trail_line *l = &t->steps[i];
        buf_reset(&words);
        trail_step_text(l, t->is_part, lang, a, &words);
        json_array_append_new(steps, json_pack("{s:o, s:s, s:o, s:o, s:o}", "at", time_json(l->at_ms), "level", trail_level_name(l->level),
                                               "event", json_text(l->event), "text", json_text(buf_view(&words)), "fields",
                                               fields_json(l, t->is_part, lang, a)));
    }
    buf_clear(&words);
    for (size_t i = 0; i < t->n_recipients; i++)
        json_array_append_new(recipients, json_text(t->recipients[i]));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "id", hex(t->id), "session", hex(t->session), "sender", json_text(t->sender),
                     "recipients", recipients, "peer", json_text(t->peer), "began", time_json(t->began_ms), "result",
                     trace_result_name(t->result), "steps", steps);
}
