/** L7 policies and their rules. They go with their listener; labels go with them by triggers, as everywhere. */
import type { Migration } from '../migrate.ts';

const beginning = `
  id TEXT PRIMARY KEY,
  project_id TEXT,`;

const state = `
  provisioning_status TEXT NOT NULL,
  operating_status TEXT NOT NULL,
  admin_state_up BOOLEAN NOT NULL,
  created_at TEXT NOT NULL,
  updated_at TEXT,
  fault TEXT,
  refused BOOLEAN NOT NULL`;

const tables = [
  // No constraint on positions: moving one policy shifts others, row by row within one statement. The load balancer's lock keeps them dense.
  `CREATE TABLE l7policy (${beginning}
    name TEXT,${state},
    description TEXT,
    action TEXT NOT NULL,
    redirect_pool_id TEXT REFERENCES pool (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    redirect_url TEXT,
    redirect_prefix TEXT,
    position INTEGER NOT NULL,
    listener_id TEXT NOT NULL REFERENCES listener (id) ON DELETE CASCADE,
    redirect_http_code INTEGER
  ) STRICT`,
  `CREATE TABLE l7rule (${beginning}${state},
    type TEXT NOT NULL,
    compare_type TEXT NOT NULL,
    key TEXT,
    value TEXT NOT NULL,
    invert BOOLEAN NOT NULL,
    l7policy_id TEXT NOT NULL REFERENCES l7policy (id) ON DELETE CASCADE
  ) STRICT`,
];

const indexes = [
  ...['l7policy', 'l7rule'].flatMap((table) => [
    `CREATE INDEX ${table}_created ON ${table} (created_at, id)`,
    `CREATE INDEX ${table}_project ON ${table} (project_id, created_at, id)`,
  ]),
  'CREATE INDEX l7policy_listener ON l7policy (listener_id, position)',
  'CREATE INDEX l7policy_redirect_pool ON l7policy (redirect_pool_id)',
  'CREATE INDEX l7rule_l7policy ON l7rule (l7policy_id)',
];

const triggers = ['l7policy', 'l7rule'].map((table) => {
  const deletes = 'DELETE FROM tag WHERE resource_id = OLD.id;';
  return {
    sqlite: [`CREATE TRIGGER ${table}_gone AFTER DELETE ON ${table} BEGIN ${deletes} END`],
    postgresql: [
      `CREATE FUNCTION ${table}_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${deletes} RETURN NULL; END $$`,
      `CREATE TRIGGER ${table}_gone AFTER DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION ${table}_gone()`,
    ],
  };
});

/** The tables of L7 policies and rules. */
export const l7: Migration = { version: 2, name: 'l7', statements: [...tables, ...indexes, ...triggers] };
