/** The embedded key manager: secrets, containers, their ACLs and consumers, in the records of the database. Who may do what is decided by the caller. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../../lib/clock.ts';
import { Fault } from '../../../model/faults.ts';
import { RecordConflict, type RecordChange, type RecordStore, type StoredRecord } from '../record-store.ts';
import {
  type Acl,
  aclRecord,
  type Consumer,
  consumerKey,
  consumerRecord,
  containerRecord,
  type Grant,
  grantKey,
  grantRecord,
  type Notes,
  notesRecord,
  payloadRecord,
  type Entity,
  secretRecord,
  type StoredContainer,
  type StoredPayload,
  type StoredSecret,
} from './records.ts';
import type { Sealer } from './seal.ts';

/** What the key manager is built from. */
export type KeyManagerOptions = {
  readonly store: RecordStore;
  readonly sealer: Sealer;
  readonly clock: Clock;
  /** Largest payload, Barbican's `max_allowed_secret_in_bytes`. */
  readonly max_bytes?: number;
};

/** What a secret is made with. */
export type SecretSpec = Omit<StoredSecret, 'id' | 'created' | 'updated' | 'content_type'>;

/** A payload with its type. */
export type Payload = { readonly content_type: NonNullable<StoredSecret['content_type']>; readonly content: Buffer };

/** A kind of entity. */
export type EntityKind = 'secret' | 'container';

const DEFAULT_MAX_BYTES = 20_000;

/** The embedded key manager. */
export type KeyManager = ReturnType<typeof createKeyManager>;

/** Opens the key manager on its records. */
export function createKeyManager(options: KeyManagerOptions) {
  const { store, sealer, clock, max_bytes = DEFAULT_MAX_BYTES } = options;
  const now = (): string => timestamp(clock.now());
  const parts = { store, sealer, now };
  return { max_bytes, now, ...secretsOf(parts), ...containersOf(parts), ...aclsOf(parts), ...consumersIn(parts) };
}

type Parts = { readonly store: RecordStore; readonly sealer: Sealer; readonly now: () => string };

function secretsOf({ store, sealer, now }: Parts) {
  const isLive = (secret: StoredSecret): boolean => secret.expiration === null || secret.expiration > now();
  return {
    /** Makes a secret; without payload it waits for `putPayload`. */
    async createSecret(spec: SecretSpec, payload: Payload | null): Promise<StoredSecret> {
      const time = now();
      const secret: StoredSecret = {
        ...spec,
        id: randomUUID(),
        created: time,
        updated: time,
        content_type: payload?.content_type ?? null,
      };
      const changes: RecordChange[] = [{ action: 'insert', record: secretRecord(secret) }];
      if (payload !== null) changes.push({ action: 'insert', record: payloadRecord(sealed(sealer, secret.id, payload)) });
      await store.write(changes);
      return secret;
    },

    /** Null when there is none, or when it has expired. */
    async findSecret(id: string): Promise<StoredSecret | null> {
      const secret = await store.get<StoredSecret>('secrets.secret', id);
      return secret !== null && isLive(secret) ? secret : null;
    },

    /** Secrets of a project that have not expired, in order of creation. */
    async listSecrets(project_id: string | null): Promise<readonly StoredSecret[]> {
      return (await store.list<StoredSecret>('secrets.secret', ofProject(project_id))).filter(isLive);
    },

    /** Secrets whose ACL names the user, whoever's they are. */
    async listShared(user_id: string): Promise<readonly StoredSecret[]> {
      const named = (await store.list<Acl>('secrets.acl')).filter(({ users }) => users.includes(user_id));
      const found = await Promise.all(named.map(({ id }) => store.get<StoredSecret>('secrets.secret', id)));
      return found.filter((secret) => secret !== null && isLive(secret)) as StoredSecret[];
    },

    /** Gives a secret its payload. Throws `Fault` 409 when it has one, 404 when it is gone. */
    async putPayload(secret: StoredSecret, payload: Payload): Promise<void> {
      const changed = { ...secret, content_type: payload.content_type, updated: now() };
      try {
        await store.write([
          { action: 'insert', record: payloadRecord(sealed(sealer, secret.id, payload)) },
          { action: 'update', record: secretRecord(changed) },
        ]);
      } catch (error) {
        if (!(error instanceof RecordConflict)) throw error;
        if ((await store.get('secrets.secret', secret.id)) === null) throw new Fault(404, 'Secret not found.', { cause: error });
        throw new Fault(409, 'Secret already has data, cannot modify it.', { cause: error });
      }
    },

    /** The payload; null: there is none. Throws `Retry` when no key here decrypts it. */
    async readPayload(secret_id: string): Promise<Buffer | null> {
      const payload = await store.get<StoredPayload>('secrets.payload', secret_id);
      return payload === null ? null : sealer.open(payload.sealed, secret_id);
    },

    /** What users wrote on a secret. */
    findNotes: async (secret_id: string): Promise<Notes['notes']> => (await store.get<Notes>('secrets.notes', secret_id))?.notes ?? {},

    /** Replaces what users wrote on a secret. */
    async putNotes(secret_id: string, notes: Notes['notes']): Promise<void> {
      const record = notesRecord({ id: secret_id, notes });
      const action = (await store.get('secrets.notes', secret_id)) === null ? 'insert' : 'update';
      await ignoringConflict(store.write([{ action, record }]));
    },

    /** Deletes for everybody; load balancers that use it keep it until they do no longer. */
    async deleteSecret(secret: StoredSecret): Promise<void> {
      const consumers = await consumersOf(store, secret.id);
      const isUsed = consumers.some(({ loadbalancer_id }) => loadbalancer_id !== null);
      const rest: RecordChange[] = isUsed
        ? [{ action: 'insert', record: secretRecord(secret, true) }]
        : [{ action: 'delete', kind: 'secrets.payload', id: secret.id }, ...(await withoutTraces(store, secret.id, consumers))];
      await ignoringConflict(store.write([{ action: 'delete', kind: 'secrets.secret', id: secret.id }, ...rest]));
    },
  };
}

function containersOf({ store, now }: Parts) {
  return {
    /** Makes a container. */
    async createContainer(spec: Omit<StoredContainer, 'id' | 'created' | 'updated'>): Promise<StoredContainer> {
      const container = { ...spec, id: randomUUID(), created: now(), updated: now() };
      await store.write([{ action: 'insert', record: containerRecord(container) }]);
      return container;
    },

    /** Null when there is none. */
    findContainer: (id: string): Promise<StoredContainer | null> => store.get<StoredContainer>('secrets.container', id),

    /** Containers of a project in order of creation. */
    listContainers: (project_id: string | null): Promise<readonly StoredContainer[]> =>
      store.list<StoredContainer>('secrets.container', ofProject(project_id)),

    /** Puts other secrets into a container. */
    async putSecretsOf(container: StoredContainer, secret_refs: StoredContainer['secret_refs']): Promise<void> {
      await updated(store, containerRecord({ ...container, secret_refs, updated: now() }), 'Secrets container not found.');
    },

    /** Deletes as `deleteSecret` does; the secrets in it stay. */
    async deleteContainer(container: StoredContainer): Promise<void> {
      const consumers = await consumersOf(store, container.id);
      const isUsed = consumers.some(({ loadbalancer_id }) => loadbalancer_id !== null);
      const rest: RecordChange[] = isUsed
        ? [{ action: 'insert', record: containerRecord(container, true) }]
        : await withoutTraces(store, container.id, consumers);
      await ignoringConflict(store.write([{ action: 'delete', kind: 'secrets.container', id: container.id }, ...rest]));
    },
  };
}

function aclsOf({ store, now }: Parts) {
  return {
    /** Null: everybody of the project may read. */
    findAcl: (entity_id: string): Promise<Acl | null> => store.get<Acl>('secrets.acl', entity_id),

    /** Replaces the ACL; what other projects were granted by those whom the last one named ends with it. */
    async putAcl(entity: Entity, acl: Pick<Acl, 'users' | 'project_access'> | null): Promise<void> {
      const before = await store.get<Acl>('secrets.acl', entity.id);
      const grants = await store.list<Grant>('secrets.grant', { name: entity.id });
      const changes: RecordChange[] = grants
        .filter(({ project_id }) => project_id !== entity.project_id)
        .map(({ id }) => ({ action: 'delete', kind: 'secrets.grant', id }));
      if (acl === null) changes.push({ action: 'delete', kind: 'secrets.acl', id: entity.id });
      else {
        const record = aclRecord({
          id: entity.id,
          users: [...new Set(acl.users)],
          project_access: acl.project_access,
          created: before?.created ?? now(),
          updated: now(),
        });
        changes.push({ action: before === null ? 'insert' : 'update', record });
      }
      try {
        await store.write(changes);
      } catch (error) {
        if (error instanceof RecordConflict)
          throw new Fault(409, 'The ACL was changed by another request at the same time.', { cause: error });
        throw error;
      }
    },

    /** What has to be written for load balancers of the project to use it; null: they may already. */
    async planGrant(entity_id: string, project_id: string): Promise<StoredRecord | null> {
      const present = await store.list('secrets.grant', { unique_key: grantKey(entity_id, project_id) });
      return present.length > 0 ? null : grantRecord({ id: randomUUID(), entity_id, project_id });
    },

    /** Writes what was planned. */
    grant: (record: StoredRecord): Promise<void> => ignoringConflict(store.write([{ action: 'insert', record }])),

    /** Was this ever granted, and not taken back? */
    hasGrant: async (entity_id: string, project_id: string): Promise<boolean> =>
      (await store.list('secrets.grant', { unique_key: grantKey(entity_id, project_id) })).length > 0,
  };
}

function consumersIn({ store, now }: Parts) {
  return {
    /** Who uses it, in order of registration. */
    listConsumers: (entity_id: string): Promise<readonly Consumer[]> => consumersOf(store, entity_id),

    /** Enters a consumer; one that is there already stays as it is. */
    async addConsumer(entity_id: string, consumer: Pick<Consumer, 'project_id' | 'fields' | 'loadbalancer_id'>): Promise<void> {
      const record = consumerRecord({ ...consumer, id: randomUUID(), entity_id, created: now(), updated: now() });
      await ignoringConflict(store.write([{ action: 'insert', record }]));
    },

    /** A consumer by what it says of itself. */
    async findConsumer(entity_id: string, fields: Consumer['fields']): Promise<Consumer | null> {
      return (await store.list<Consumer>('secrets.consumer', { unique_key: consumerKey(entity_id, fields) }))[0] ?? null;
    },

    /** Takes a consumer off. */
    removeConsumer: (id: string): Promise<void> => store.write([{ action: 'delete', kind: 'secrets.consumer', id }]),
  };
}

/** A time as Barbican writes it. */
export const timestamp = (ms: number): string => new Date(ms).toISOString().replace('Z', '000');

const ofProject = (project_id: string | null): { readonly project_id?: string } => (project_id === null ? {} : { project_id });

const sealed = (sealer: Sealer, id: string, { content }: Payload): StoredPayload => ({ id, sealed: sealer.seal(content, id) });

/** Who uses it, in order of registration. */
export const consumersOf = (store: RecordStore, entity_id: string): Promise<readonly Consumer[]> =>
  store.list<Consumer>('secrets.consumer', { name: entity_id });

/** The changes that remove what belongs to a secret or container. */
export async function withoutTraces(store: RecordStore, id: string, consumers: readonly Consumer[]): Promise<RecordChange[]> {
  const grants = await store.list<Grant>('secrets.grant', { name: id });
  return [
    { action: 'delete', kind: 'secrets.acl', id },
    { action: 'delete', kind: 'secrets.notes', id },
    ...grants.map((grant): RecordChange => ({ action: 'delete', kind: 'secrets.grant', id: grant.id })),
    ...consumers.map((consumer): RecordChange => ({ action: 'delete', kind: 'secrets.consumer', id: consumer.id })),
  ];
}

/** Another was first, and what it did is the same. */
export async function ignoringConflict(writing: Promise<void>): Promise<void> {
  try {
    await writing;
  } catch (error) {
    if (!(error instanceof RecordConflict)) throw error;
  }
}

async function updated(store: RecordStore, record: Extract<RecordChange, { action: 'update' }>['record'], gone: string): Promise<void> {
  try {
    await store.write([{ action: 'update', record }]);
  } catch (error) {
    if (error instanceof RecordConflict) throw new Fault(404, gone, { cause: error });
    throw error;
  }
}
