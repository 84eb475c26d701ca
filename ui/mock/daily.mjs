// Data of the pages of daily work.
const ago = (s) => new Date(Date.now() - s * 1000).toISOString().slice(0, 19) + 'Z';

export const routes = {
  'GET /overview': () => ({
    domains: 3, accounts: 42, queue: { messages: 3, recipients: 4, held: 1, bytes: 482133 }, alerts: 2,
    messages: { received_today: 1284, sent_today: 341, rejected_today: 2207 },
    dmarc: [{ domain: 'ici.test', messages: 48210, aligned: 47998 }, { domain: 'atelier.test', messages: 812, aligned: 640 }],
    version: '0.1.0', since: ago(86400 * 12),
  }),
};
