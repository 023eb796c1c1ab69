/** What the embedded key manager keeps, in Barbican's words, and how each is found in the store. */
import type { StoredRecord } from '../record-store.ts';

/** The kinds of secret that Barbican knows. */
export const secretTypes = ['symmetric', 'passphrase', 'private', 'public', 'certificate', 'opaque'] as const;
/** The kinds of container. */
export const containerTypes = ['generic', 'rsa', 'certificate'] as const;

/** What secrets and containers have; times are `2026-01-01T00:00:00.000000` in UTC. */
export type Entity = {
  readonly id: string;
  /** Null: made without identity. */
  readonly project_id: string | null;
  readonly creator_id: string | null;
  readonly name: string | null;
  readonly created: string;
  readonly updated: string;
};

/** A secret without its payload. */
export type StoredSecret = Entity & {
  readonly secret_type: (typeof secretTypes)[number];
  readonly algorithm: string | null;
  readonly bit_length: number | null;
  readonly mode: string | null;
  readonly expiration: string | null;
  /** Null: it has no payload yet. */
  readonly content_type: 'text/plain' | 'application/octet-stream' | 'application/pkcs8' | null;
};

/** What users wrote on a secret: a record of its own, so that writing it changes nothing else. */
export type Notes = { readonly id: string; readonly notes: Readonly<Record<string, string>> };

/** Secrets by name, as one thing. */
export type StoredContainer = Entity & {
  readonly type: (typeof containerTypes)[number];
  readonly secret_refs: readonly { readonly name: string | null; readonly secret_id: string }[];
};

/** A payload, encrypted. */
export type StoredPayload = { readonly id: string; readonly sealed: string };

/** Who may read: the secret's or container's own. */
export type Acl = {
  readonly id: string;
  readonly users: readonly string[];
  /** False: not everybody of the project, but the creator only. */
  readonly project_access: boolean;
  readonly created: string;
  readonly updated: string;
};

/** Load balancers of this project may read the secret, because somebody who may has named it for one of them. */
export type Grant = { readonly id: string; readonly entity_id: string; readonly project_id: string };

/** Who uses a secret (`service`, `resource_type`, `resource_id`) or a container (`name`, `URL`). */
export type Consumer = {
  readonly id: string;
  readonly entity_id: string;
  readonly project_id: string | null;
  readonly fields: Readonly<Record<string, string>>;
  /** The load balancer that a controller entered it for; null: a client did. */
  readonly loadbalancer_id: string | null;
  readonly created: string;
  readonly updated: string;
};

/** The record of a secret; retired: deleted for everybody but the load balancers that still use it. */
export function secretRecord(secret: StoredSecret, isRetired = false): StoredRecord<StoredSecret> {
  const { id, project_id, name } = secret;
  return { kind: isRetired ? 'secrets.retired_secret' : 'secrets.secret', id, project_id, name, unique_key: null, body: secret };
}

/** The record of a container, retired as a secret is. */
export function containerRecord(container: StoredContainer, isRetired = false): StoredRecord<StoredContainer> {
  const { id, project_id, name } = container;
  return { kind: isRetired ? 'secrets.retired_container' : 'secrets.container', id, project_id, name, unique_key: null, body: container };
}

/** The record of a payload, which has the id of its secret: there is never a second one. */
export function payloadRecord(payload: StoredPayload): StoredRecord<StoredPayload> {
  return { kind: 'secrets.payload', id: payload.id, project_id: null, name: null, unique_key: null, body: payload };
}

/** The record of notes, which has the id of the secret. */
export function notesRecord(notes: Notes): StoredRecord<Notes> {
  return { kind: 'secrets.notes', id: notes.id, project_id: null, name: null, unique_key: null, body: notes };
}

/** The record of an ACL, which has the id of what it guards. */
export function aclRecord(acl: Acl): StoredRecord<Acl> {
  return { kind: 'secrets.acl', id: acl.id, project_id: null, name: null, unique_key: null, body: acl };
}

/** The record of a grant, found by what it opens (as the name). */
export function grantRecord(grant: Grant): StoredRecord<Grant> {
  const unique_key = grantKey(grant.entity_id, grant.project_id);
  return { kind: 'secrets.grant', id: grant.id, project_id: grant.project_id, name: grant.entity_id, unique_key, body: grant };
}

/** What makes a grant unique. */
export const grantKey = (entity_id: string, project_id: string): string => `${entity_id}/${project_id}`;

/** The record of a consumer, found by what it uses (as the name). */
export function consumerRecord(consumer: Consumer): StoredRecord<Consumer> {
  const unique_key = consumerKey(consumer.entity_id, consumer.fields);
  return {
    kind: 'secrets.consumer',
    id: consumer.id,
    project_id: consumer.project_id,
    name: consumer.entity_id,
    unique_key,
    body: consumer,
  };
}

/** What makes a consumer unique. */
export const consumerKey = (entity_id: string, fields: Readonly<Record<string, string>>): string =>
  `${entity_id}/${JSON.stringify(Object.entries(fields).toSorted(([one], [other]) => (one < other ? -1 : 1)))}`;
