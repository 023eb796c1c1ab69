/**
 * The interface `Secrets` on a Barbican (Key Manager API v1). Controllers read as the service's own user, which gets into the ACL of
 * what a request names, with the token of whoever sends it, as the reference does it (`barbican_acl_auth`).
 */
import { Retry } from '../../model/faults.ts';
import { createUses } from '../secret-uses.ts';
import type { RecordStore } from '../local/record-store.ts';
import { parseSecretRef } from '../secret-ref.ts';
import { type SecretReader, type Secrets, UnusableSecret } from '../secrets.ts';
import type { StoredCertificate } from '../tls/material.ts';
import { createSecrets, type SecretSource } from '../tls/stored-secrets.ts';
import { type Http, type HttpAnswer, Unreachable } from './http.ts';

/** Who asks Barbican, and where it is. Each may throw `Unreachable`. */
export interface BarbicanAccess {
  /** Its address without `/v1`. */
  endpoint(): Promise<string>;
  /** The service's own token. */
  token(): Promise<string>;
  /** Forgets a token that was refused. */
  refuse(token: string): void;
  /** The service's own user; null: unknown, and ACLs are left alone. */
  user_id(): Promise<string | null>;
}

/** What it works with. */
export type BarbicanParts = {
  readonly access: BarbicanAccess;
  readonly http: Http;
  /** Where it is noted which load balancer is entered where. */
  readonly store: RecordStore;
};

type Kind = 'secrets' | 'containers';
type Description = Readonly<Record<string, unknown>>;
type Found = { readonly kind: Kind; readonly id: string; readonly body: Description };
type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

const withConsumers = { 'openstack-api-version': 'key-manager 1.1' };

/** Reads secrets of a Barbican. */
export function createBarbicanSecrets({ access, http, store }: BarbicanParts): Secrets {
  const barbican = new Barbican(access, http);
  const source: SecretSource = {
    async findCertificate(ref, reader): Promise<StoredCertificate> {
      const found = await barbican.find(ref, reader);
      if (found.kind === 'secrets') return { form: 'bundle', content: await barbican.payload(ref, found) };
      if (found.body['type'] !== 'certificate')
        throw new UnusableSecret(ref, 'unreadable', `The container ${found.id} is not of the type certificate.`);
      const piece = async (name: string): Promise<Buffer | null> => {
        const id = secretsIn(found).get(name);
        return id === undefined ? null : barbican.payload(ref, await barbican.describe(ref, 'secrets', id));
      };
      const [certificate, private_key] = [await piece('certificate'), await piece('private_key')];
      if (certificate === null || private_key === null)
        throw new UnusableSecret(ref, 'unreadable', `The container ${found.id} has no certificate with its private key.`);
      const [intermediates, passphrase] = [await piece('intermediates'), await piece('private_key_passphrase')];
      return { form: 'pieces', certificate, private_key, intermediates, passphrase };
    },
    async findPayload(ref, reader) {
      const found = await barbican.find(ref, reader);
      if (found.kind === 'containers') throw new UnusableSecret(ref, 'unreadable', `${ref} is a container: a secret is needed here.`);
      return barbican.payload(ref, found);
    },
    async readVersion(ref, reader) {
      const { id, body } = await barbican.find(ref, reader);
      return `${id}.${String(body['updated'])}`;
    },
    recordUses: createUses(store, {
      register: ({ ref, loadbalancer_id }) => barbican.consumer('POST', ref, loadbalancer_id),
      unregister: ({ ref, loadbalancer_id }) => barbican.consumer('DELETE', ref, loadbalancer_id),
    }),
  };
  return createSecrets(source);
}

class Barbican {
  readonly #access: BarbicanAccess;
  readonly #http: Http;

  constructor(access: BarbicanAccess, http: Http) {
    this.#access = access;
    this.#http = http;
  }

  /** What a reference names. One that does not say so may be a secret or a container. */
  async find(ref: string, reader: SecretReader): Promise<Found> {
    const parsed = parseSecretRef(ref);
    if (parsed === null) throw missing(ref);
    const kinds: readonly Kind[] = parsed.entity === null ? ['secrets', 'containers'] : [`${parsed.entity}s`];
    if (reader.by === 'caller' && reader.token !== null) await this.#open(ref, kinds, parsed.id, reader.token.reveal());
    for (const kind of kinds) {
      const answer = await this.#asService('GET', `/${kind}/${parsed.id}`);
      if (answer.status === 200) return { kind, id: parsed.id, body: (answer.body ?? {}) as Description };
    }
    throw missing(ref);
  }

  /** What Barbican says of a secret, without its payload. */
  async describe(ref: string, kind: Kind, id: string): Promise<Found> {
    const answer = await this.#asService('GET', `/${kind}/${id}`);
    if (answer.status !== 200) throw missing(ref);
    return { kind, id, body: (answer.body ?? {}) as Description };
  }

  async payload(ref: string, { id, body }: Found): Promise<Buffer> {
    const types = body['content_types'] as { readonly default?: string } | undefined;
    const answer = await this.#asService('GET', `/secrets/${id}/payload`, { accept: types?.default ?? 'application/octet-stream' });
    if (answer.status === 200) return answer.bytes;
    if (answer.status === 406 || (answer.status === 404 && types === undefined))
      throw new UnusableSecret(ref, 'unreadable', `The secret ${id} has no payload that can be read.`);
    throw missing(ref);
  }

  /** Enters or takes off a load balancer; one that is gone, or a Barbican that knows no consumers of secrets, is no failure. */
  async consumer(method: 'POST' | 'DELETE', ref: string, loadbalancer_id: string): Promise<void> {
    const parsed = parseSecretRef(ref);
    if (parsed === null) return;
    const ofSecret = { service: 'octavia', resource_type: 'loadbalancers', resource_id: loadbalancer_id };
    const ofContainer = { name: 'octavia', URL: `octavia/loadbalancers/${loadbalancer_id}` };
    if (parsed.entity !== 'container') await this.#asService(method, `/secrets/${parsed.id}/consumers`, withConsumers, ofSecret);
    if (parsed.entity !== 'secret') await this.#asService(method, `/containers/${parsed.id}/consumers`, {}, ofContainer);
  }

  /**
   * Sees to it that whoever named something may read it, and that the service may, too. Without the first, whoever knows the id of a
   * secret that some load balancer uses could use it, as in the reference.
   */
  async #open(ref: string, kinds: readonly Kind[], id: string, token: string): Promise<void> {
    for (const kind of kinds) {
      const seen = await this.#ask('GET', `/${kind}/${id}`, token);
      if (seen.status !== 200) continue;
      await this.#admit(kind, id, token);
      if (kind === 'containers') {
        const inside = secretsIn({ kind, id, body: (seen.body ?? {}) as Description });
        for (const secret of inside.values()) {
          if ((await this.#ask('GET', `/secrets/${secret}`, token)).status !== 200) throw missing(ref);
          await this.#admit('secrets', secret, token);
        }
      }
      return;
    }
    throw missing(ref);
  }

  /** Adds the service's user to an ACL. A refusal is none of ours: the service may be able to read anyway, which reading tells. */
  async #admit(kind: Kind, id: string, token: string): Promise<void> {
    const user_id = await this.#guarded(() => this.#access.user_id());
    if (user_id === null) return;
    const acl = await this.#ask('GET', `/${kind}/${id}/acl`, token);
    const read = (acl.body as { read?: { users?: readonly string[]; 'project-access'?: boolean } } | undefined)?.read;
    if (acl.status !== 200 || read === undefined || read.users?.includes(user_id) === true) return;
    const changed = { users: [...(read.users ?? []), user_id], 'project-access': read['project-access'] ?? true };
    await this.#ask('PUT', `/${kind}/${id}/acl`, token, {}, { read: changed });
  }

  /** As the service, once more with a new token when the one it has was revoked. */
  async #asService(method: Method, path: string, headers: Readonly<Record<string, string>> = {}, body?: unknown): Promise<HttpAnswer> {
    for (let attempt = 1; ; attempt += 1) {
      const token = await this.#guarded(() => this.#access.token());
      const answer = await this.#ask(method, path, token, headers, body);
      if (answer.status !== 401) return answer;
      this.#access.refuse(token);
      if (attempt === 2) throw new Retry('The key manager refuses the token of this service.');
    }
  }

  async #ask(
    method: Method,
    path: string,
    token: string,
    headers: Readonly<Record<string, string>> = {},
    body?: unknown,
  ): Promise<HttpAnswer> {
    const endpoint = await this.#guarded(() => this.#access.endpoint());
    const root = endpoint.replace(/\/+$/u, '').replace(/\/v1$/u, '');
    const request = {
      method,
      url: `${root}/v1${path}`,
      headers: { 'x-auth-token': token, ...headers },
      ...(body === undefined ? {} : { body }),
    };
    return this.#guarded(() => this.#http.request(request));
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Unreachable) throw new Retry(`The key manager does not answer: ${error.message}`, { cause: error });
      throw error;
    }
  }
}

/** The secrets of a container by name; what is no reference is left out. */
function secretsIn({ body }: Found): ReadonlyMap<string, string> {
  const refs = (body['secret_refs'] ?? []) as readonly { readonly name?: string | null; readonly secret_ref?: string }[];
  return new Map(
    refs.flatMap(({ name, secret_ref }) => {
      const id = parseSecretRef(secret_ref ?? '')?.id;
      return id === undefined ? [] : [[name ?? '', id] as const];
    }),
  );
}

const missing = (ref: string): UnusableSecret =>
  new UnusableSecret(ref, 'not found', `There is no secret ${ref} that this project may use.`);
