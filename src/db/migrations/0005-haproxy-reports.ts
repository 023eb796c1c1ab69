/** What amphorae tell of their HAProxy. */
import type { Migration } from '../migrate.ts';

/** JSON as the heartbeat had it; null before the first. */
export const haproxyReports: Migration = {
  version: 5,
  name: 'haproxy reports',
  statements: ['ALTER TABLE amphora_health ADD COLUMN haproxy TEXT'],
};
