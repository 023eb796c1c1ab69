/** Where the embedded services keep their records; the database implements it, so that this folder speaks no SQL. */

/** A record of an embedded service: `body` is its whole JSON form, the other members are what it can be found by. */
export type StoredRecord<T = unknown> = {
  readonly kind: RecordKind;
  readonly id: string;
  readonly project_id: string | null;
  readonly name: string | null;
  /** Unique within the kind; null: nothing to be unique about. */
  readonly unique_key: string | null;
  readonly body: T;
};

/** The kinds of record. */
export type RecordKind =
  | 'identity.domain'
  | 'identity.project'
  | 'identity.user'
  | 'identity.role'
  | 'identity.assignment'
  | 'identity.application_credential'
  | 'identity.access_rule'
  | 'identity.revocation'
  | 'identity.service'
  | 'identity.endpoint'
  | 'identity.region'
  | 'network.network'
  | 'network.subnet'
  | 'network.port'
  | 'network.allocation'
  | 'network.security_group'
  | 'network.security_group_rule'
  | 'network.qos_policy'
  | 'network.qos_rule'
  | 'network.floating_ip'
  | 'compute.instance'
  | 'pki.authority'
  | 'secrets.secret'
  | 'secrets.retired_secret'
  | 'secrets.container'
  | 'secrets.retired_container'
  | 'secrets.payload'
  | 'secrets.notes'
  | 'secrets.acl'
  | 'secrets.grant'
  | 'secrets.consumer'
  | 'secrets.use';

/** One change of a record; a list of them is carried out as a whole or not at all. */
export type RecordChange =
  | { readonly action: 'insert'; readonly record: StoredRecord }
  | { readonly action: 'update'; readonly record: StoredRecord }
  | { readonly action: 'delete'; readonly kind: RecordKind; readonly id: string };

/** Reads and writes records. */
export interface RecordStore {
  get<T>(kind: RecordKind, id: string): Promise<T | null>;
  /** Bodies by exact match, ordered by creation. */
  list<T>(
    kind: RecordKind,
    filter?: { readonly project_id?: string; readonly name?: string; readonly unique_key?: string },
  ): Promise<readonly T[]>;
  /** All or nothing. Throws `RecordConflict` when an insert meets an existing id or unique key, or an update a missing record. */
  write(changes: readonly RecordChange[]): Promise<void>;
}

/** Two records claim the same id or unique key. */
export class RecordConflict extends Error {
  readonly kind: RecordKind;

  constructor(kind: RecordKind, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'RecordConflict';
    this.kind = kind;
  }
}
