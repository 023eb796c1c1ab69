/** The interface `Secrets` on the embedded key manager. Controllers read what somebody named who may read it, and keep what load balancers use. */
import { parseSecretRef } from '../../secret-ref.ts';
import { type SecretReader, type Secrets, UnusableSecret } from '../../secrets.ts';
import type { StoredCertificate } from '../../tls/material.ts';
import { createSecrets, type SecretSource } from '../../tls/stored-secrets.ts';
import type { RecordChange, RecordStore } from '../record-store.ts';
import { mayName, mayUse } from './access.ts';
import { consumersOf, ignoringConflict, type KeyManager, withoutTraces } from './key-manager.ts';
import type { Entity, StoredContainer, StoredSecret } from './records.ts';
import { createUses, type Use } from '../../secret-uses.ts';

type Found = { readonly secret: StoredSecret } | { readonly container: StoredContainer };

/** Reads secrets of the embedded key manager. */
export function createEmbeddedSecrets(keyManager: KeyManager, store: RecordStore): Secrets {
  const find = async (ref: string, reader: SecretReader, shown = ref): Promise<Found> => {
    const parsed = parseSecretRef(ref);
    if (parsed === null) throw missing(shown);
    const found = await lookUp(keyManager, store, parsed.entity, parsed.id, reader);
    if (found === null || !(await isOpenTo(keyManager, entityOf(found), reader))) throw missing(shown);
    return found;
  };
  const payloadOf = async (ref: string, secret: StoredSecret): Promise<Buffer> => {
    const payload = await keyManager.readPayload(secret.id);
    if (payload === null) throw new UnusableSecret(ref, 'unreadable', `The secret ${secret.id} has no payload.`);
    return payload;
  };
  const source: SecretSource = {
    async findCertificate(ref, reader): Promise<StoredCertificate> {
      const found = await find(ref, reader);
      if ('secret' in found) return { form: 'bundle', content: await payloadOf(ref, found.secret) };
      const { container } = found;
      if (container.type !== 'certificate')
        throw new UnusableSecret(ref, 'unreadable', `The container ${container.id} is not of the type certificate.`);
      const piece = async (name: string): Promise<Buffer | null> => {
        const secret = await secretNamed(container, name, (id) => find(id, reader, ref));
        return secret === null ? null : payloadOf(ref, secret);
      };
      const [certificate, private_key] = [await piece('certificate'), await piece('private_key')];
      if (certificate === null || private_key === null)
        throw new UnusableSecret(ref, 'unreadable', `The container ${container.id} has no certificate with its private key.`);
      const [intermediates, passphrase] = [await piece('intermediates'), await piece('private_key_passphrase')];
      return { form: 'pieces', certificate, private_key, intermediates, passphrase };
    },
    async findPayload(ref, reader) {
      const found = await find(ref, reader);
      if ('container' in found) throw new UnusableSecret(ref, 'unreadable', `${ref} is a container: a secret is needed here.`);
      return payloadOf(ref, found.secret);
    },
    async readVersion(ref, reader) {
      const found = await find(ref, reader);
      if ('secret' in found) return `${found.secret.id}.${found.secret.content_type === null ? 0 : 1}`;
      const parts = found.container.secret_refs.map(({ name, secret_id }) => `${name ?? ''}=${secret_id}`);
      return `${found.container.id}(${parts.toSorted().join()})`;
    },
    recordUses: createUses(store, {
      register: (use) => enter(keyManager, use),
      unregister: (use) => takeOff(store, use),
    }),
  };
  return createSecrets(source);
}

const entityOf = (found: Found): Entity => ('secret' in found ? found.secret : found.container);

/** What expired or was deleted is there only for load balancers that use it. */
async function lookUp(
  keyManager: KeyManager,
  store: RecordStore,
  kind: 'secret' | 'container' | null,
  id: string,
  reader: SecretReader,
): Promise<Found | null> {
  if (kind !== 'container') {
    const secret =
      (await keyManager.findSecret(id)) ??
      (reader.by === 'caller'
        ? null
        : ((await store.get<StoredSecret>('secrets.retired_secret', id)) ?? (await store.get<StoredSecret>('secrets.secret', id))));
    if (secret !== null) return { secret };
  }
  if (kind === 'secret') return null;
  const container =
    (await keyManager.findContainer(id)) ??
    (reader.by === 'caller' ? null : await store.get<StoredContainer>('secrets.retired_container', id));
  return container === null ? null : { container };
}

async function isOpenTo(keyManager: KeyManager, entity: Entity, reader: SecretReader): Promise<boolean> {
  const acl = await keyManager.findAcl(entity.id);
  const { project_id } = reader;
  if (mayUse(entity, acl, project_id)) return true;
  if (reader.by === 'controller') return project_id !== null && keyManager.hasGrant(entity.id, project_id);
  if (!mayName(reader.caller, entity, acl, project_id)) return false;
  const grant = project_id === null ? null : await keyManager.planGrant(entity.id, project_id);
  if (grant !== null) {
    if (reader.note === undefined) await keyManager.grant(grant);
    else reader.note(grant);
  }
  return true;
}

async function secretNamed(container: StoredContainer, name: string, find: (id: string) => Promise<Found>): Promise<StoredSecret | null> {
  const entry = container.secret_refs.find((each) => each.name === name);
  if (entry === undefined) return null;
  const found = await find(entry.secret_id);
  return 'secret' in found ? found.secret : null;
}

const missing = (ref: string): UnusableSecret =>
  new UnusableSecret(ref, 'not found', `There is no secret ${ref} that this project may use.`);

/** A load balancer uses a container and every secret in it; what it may not read it does not keep from being deleted. */
async function enter(keyManager: KeyManager, use: Use): Promise<void> {
  const { loadbalancer_id, project_id } = use;
  const id = parseSecretRef(use.ref)?.id;
  if (id === undefined) return;
  const add = async (entity: Entity | null, fields: Readonly<Record<string, string>>): Promise<boolean> => {
    if (entity === null || !(await isOpenTo(keyManager, entity, { by: 'controller', project_id }))) return false;
    await keyManager.addConsumer(entity.id, { project_id, loadbalancer_id, fields });
    return true;
  };
  const ofSecret = (resource_type: string) => ({ service: 'octavia', resource_type, resource_id: loadbalancer_id });
  await add(await keyManager.findSecret(id), ofSecret('loadbalancers'));
  const container = await keyManager.findContainer(id);
  if (container === null || !(await add(container, { name: 'octavia', URL: `octavia/loadbalancers/${loadbalancer_id}/${id}` }))) return;
  // Named by its container, so that the secret stays a consumer's while another reference of the load balancer uses it alone.
  for (const { secret_id } of container.secret_refs) await add(await keyManager.findSecret(secret_id), ofSecret(`loadbalancers via ${id}`));
}

/** Takes the load balancer off, and removes for good what was deleted meanwhile and nobody uses any more. */
async function takeOff(store: RecordStore, use: Use): Promise<void> {
  const id = parseSecretRef(use.ref)?.id;
  if (id === undefined) return;
  const container =
    (await store.get<StoredContainer>('secrets.container', id)) ?? (await store.get<StoredContainer>('secrets.retired_container', id));
  const inside = container?.secret_refs.map(({ secret_id }) => secret_id) ?? [];
  for (const entity_id of [id, ...inside]) {
    const consumers = await consumersOf(store, entity_id);
    const its = consumers.filter((each) => each.loadbalancer_id === use.loadbalancer_id && isBy(each.fields, id, entity_id));
    const rest = consumers.filter((each) => !its.includes(each));
    const changes: RecordChange[] = its.map((each) => ({ action: 'delete', kind: 'secrets.consumer', id: each.id }));
    if (!rest.some(({ loadbalancer_id }) => loadbalancer_id !== null)) changes.push(...(await retiredRemoval(store, entity_id, rest)));
    await ignoringConflict(store.write(changes));
  }
}

/** Was this consumer entered for the reference to `id`? */
const isBy = (fields: Readonly<Record<string, string>>, id: string, entity_id: string): boolean =>
  id === entity_id
    ? fields['resource_type'] === undefined || fields['resource_type'] === 'loadbalancers'
    : fields['resource_type'] === `loadbalancers via ${id}`;

async function retiredRemoval(store: RecordStore, id: string, rest: Parameters<typeof withoutTraces>[2]): Promise<RecordChange[]> {
  const isSecret = (await store.get('secrets.retired_secret', id)) !== null;
  const isContainer = (await store.get('secrets.retired_container', id)) !== null;
  if (!isSecret && !isContainer) return [];
  return [
    { action: 'delete', kind: 'secrets.retired_secret', id },
    { action: 'delete', kind: 'secrets.retired_container', id },
    { action: 'delete', kind: 'secrets.payload', id },
    ...(await withoutTraces(store, id, rest)),
  ];
}
