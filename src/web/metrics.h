/* web/metrics: the server's numbers for Prometheus: the board's counters (sys/board.h), who is connected, what waits.
 * Text format 0.0.4, or OpenMetrics 1.0 where asked for. I/O: store. Any thread. docs/metrics.md has the names. */
#ifndef WEB_METRICS_H
#define WEB_METRICS_H

#include "store/store.h"

#define METRICS_TEXT         "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_OPEN_METRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Appends all of them. Where the store does not answer, those of the queue are missing. */
void metrics_write(struct store *s, bool open_metrics, struct buf *out);

#endif
