/** Lists of TLS settings that may be absent, which an empty list is not. */
import type { Migration } from '../migrate.ts';

/** SQLite cannot take NOT NULL from a column, so each gets a successor. */
const nullable = (table: string, column: string): readonly string[] => [
  `ALTER TABLE ${table} ADD COLUMN ${column}_or_none TEXT`,
  `UPDATE ${table} SET ${column}_or_none = ${column} WHERE ${column} <> '[]'`,
  `ALTER TABLE ${table} DROP COLUMN ${column}`,
  `ALTER TABLE ${table} RENAME COLUMN ${column}_or_none TO ${column}`,
];

/** Until now an empty list stood for none. */
export const listsOrNone: Migration = {
  version: 4,
  name: 'lists or none',
  statements: ['listener', 'pool'].flatMap((table) => ['tls_versions', 'alpn_protocols'].flatMap((column) => nullable(table, column))),
};
