/* app/own_records: what the configuration says about us, as records_make (policy/records.h) wants it. */
#ifndef APP_OWN_RECORDS_H
#define APP_OWN_RECORDS_H

#include "app/config.h"
#include "policy/records.h"
#include "vault/vault.h"

/* Borrows from c, the rest lies in the arena. RC_TEMP. */
enum rc own_records(const struct config *c, struct arena *a, struct records_settings *out);

/* The keys that senders who use DANE may meet at our host, as the vault tells them: what app/tlsa.h finds for commands. RC_TEMP. */
enum rc own_tlsa(const struct config *c, struct vault *v, struct records_tlsa *out);

#endif
