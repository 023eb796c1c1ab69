/** Flavors and availability zones with their profiles, and amphorae whose agent is to be configured anew. */
import type { Migration } from '../migrate.ts';

/** What an administrator offers. A profile that is used cannot go; load balancers are looked for under a lock instead, as deleted ones keep what they named. */
export const flavors: Migration = {
  version: 3,
  name: 'flavors',
  statements: [
    `CREATE TABLE flavor_profile (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL,
      provider_name TEXT NOT NULL,
      flavor_data TEXT NOT NULL
    ) STRICT`,
    `CREATE TABLE flavor (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      description TEXT,
      enabled BOOLEAN NOT NULL,
      flavor_profile_id TEXT NOT NULL REFERENCES flavor_profile (id)
    ) STRICT`,
    `CREATE TABLE availability_zone_profile (
      id TEXT PRIMARY KEY,
      name TEXT NOT NULL,
      provider_name TEXT NOT NULL,
      availability_zone_data TEXT NOT NULL
    ) STRICT`,
    `CREATE TABLE availability_zone (
      name TEXT PRIMARY KEY,
      description TEXT,
      enabled BOOLEAN NOT NULL,
      availability_zone_profile_id TEXT NOT NULL REFERENCES availability_zone_profile (id)
    ) STRICT`,
    'CREATE INDEX flavor_of_profile ON flavor (flavor_profile_id)',
    'CREATE INDEX availability_zone_of_profile ON availability_zone (availability_zone_profile_id)',
    'CREATE INDEX loadbalancer_flavor ON loadbalancer (flavor_id) WHERE flavor_id IS NOT NULL',
    'CREATE INDEX loadbalancer_zone ON loadbalancer (availability_zone) WHERE availability_zone IS NOT NULL',
    'ALTER TABLE amphora ADD COLUMN config_due BOOLEAN NOT NULL DEFAULT FALSE',
  ],
};
