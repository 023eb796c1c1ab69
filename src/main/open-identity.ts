/** Chooses who checks tokens (`[api_settings] auth_strategy`): a Keystone, the embedded identity, or nobody. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { writeClientFiles } from '../cloud/local/client-files.ts';
import type { Identity } from '../cloud/identity.ts';
import { newPassword } from '../cloud/local/identity-passwords.ts';
import { createLocalIdentity, type LocalIdentity } from '../cloud/local/identity.ts';
import type { RecordStore } from '../cloud/local/record-store.ts';
import { createNoAuth } from '../cloud/noauth.ts';
import { createHttp, type Http } from '../cloud/openstack/http.ts';
import { createKeystoneIdentity } from '../cloud/openstack/keystone.ts';
import { createSession, type DomainName, identityRoot, type Session, type SignIn } from '../cloud/openstack/session.ts';
import type { Config } from '../config/table.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { systemClock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { Secret } from '../lib/secret.ts';
import { secretFile } from './secret-file.ts';
import { type State, StartRefused } from './state.ts';

/** Who checks tokens, and what else depends on it. */
export type OpenedIdentity = {
  readonly identity: Identity;
  /** The embedded identity when it is the one that counts: it gets an address of its own. */
  readonly local: LocalIdentity | null;
  /** The project that owns what the service makes for itself. */
  readonly service_project_id: string;
  /** The service's sign-in to Keystone; null: there is none. */
  readonly session: Session | null;
  readonly close: () => Promise<void>;
};

/** What it is chosen by and made from. */
export type IdentityParts = {
  readonly config: Config;
  readonly state: State;
  readonly store: RecordStore;
  readonly base_url: string;
  readonly log: Logger;
  readonly tell: (line: string) => void;
};

/** The owner of the service's own networks where a Keystone knows the projects: a name that no project of its has as id. */
const SERVICE_PROJECT = 'service';

/** Opens the identity that the configuration names. Throws `StartRefused` when something is missing for it. */
export async function openIdentity(parts: IdentityParts): Promise<OpenedIdentity> {
  const { auth_strategy } = parts.config.api_settings;
  return auth_strategy === 'keystone' ? openKeystone(parts) : openEmbedded(parts);
}

function openKeystone({ config, log, tell }: IdentityParts): OpenedIdentity {
  const options = config.keystone_authtoken;
  if (options.auth_url === null) throw missing('auth_url');
  let http: Http;
  try {
    const connect_timeout_ms = 1000 * options.http_connect_timeout;
    http = createHttp({ cafile: options.cafile, insecure: options.insecure, connect_timeout_ms, timeout_ms: connect_timeout_ms + 5000 });
  } catch (error) {
    throw new StartRefused(`[keystone_authtoken] cafile cannot be read (${(error as Error).message}).`, { cause: error });
  }
  const session = createSession(identityRoot(options.auth_url), signInOf(options), http, systemClock);
  const identity = createKeystoneIdentity(
    { ...options, auth_url: options.auth_url },
    { session, http, clock: systemClock, log, random: Math.random },
  );
  // Its absence must not keep the others from starting; whoever looks at the start should still see it.
  session.current().catch((error: unknown) => tell(`${(error as Error).message}. Requests get 503 until it does ([keystone_authtoken]).`));
  return { identity, local: null, service_project_id: SERVICE_PROJECT, session, close: () => http.close() };
}

const missing = (name: string): StartRefused =>
  new StartRefused(
    `auth_strategy = keystone needs ${name} in the group [keystone_authtoken]; without a Keystone set auth_strategy = embedded in [api_settings].`,
  );

function signInOf(options: Config['keystone_authtoken']): SignIn {
  if (options.auth_type === 'v3applicationcredential') {
    const { application_credential_id: id, application_credential_secret: secret } = options;
    if (id === null) throw missing('application_credential_id');
    if (secret === null) throw missing('application_credential_secret');
    return { type: 'application_credential', id, secret };
  }
  const { username, password, project_name } = options;
  if (username === null) throw missing('username');
  if (password === null) throw missing('password');
  if (project_name === null) throw missing('project_name');
  const domain = (id: string | null, name: string): DomainName => (id === null ? { name } : { id });
  return {
    type: 'password',
    username,
    password,
    project_name,
    user_domain: domain(options.user_domain_id, options.user_domain_name),
    project_domain: domain(options.project_domain_id, options.project_domain_name),
  };
}

async function openEmbedded({ config, state, store, base_url, tell }: IdentityParts): Promise<OpenedIdentity> {
  const { auth_strategy } = config.api_settings;
  const signing_key = secretFile(join(state.dir, 'identity.key'), () => randomBytes(48).toString('base64url'));
  const token_seconds = Math.min(43_200, Math.max(3600, config.local.token_lifetime));
  const local = createLocalIdentity({ store, signing_key: Buffer.from(signing_key), token_seconds });
  const passwords = {
    admin: secretFile(join(state.dir, 'admin.password'), newPassword),
    demo: secretFile(join(state.dir, 'demo.password'), newPassword),
  };
  const { created, project_ids } = await local.bootstrap({ admin: new Secret(passwords.admin), demo: new Secret(passwords.demo) });
  if (created) tell('Made the first users and projects.');
  const files = writeClientFiles({ base_url, passwords: { admin: new Secret(passwords.admin), demo: new Secret(passwords.demo) } });
  await writeFileAtomic(join(state.dir, 'clouds.yaml'), files.clouds_yaml, { mode: 0o600 });
  await writeFileAtomic(join(state.dir, 'openrc'), files.openrc, { mode: 0o600 });
  const isOpen = auth_strategy === 'noauth' || auth_strategy === 'testing';
  const identity = isOpen ? createNoAuth() : local;
  return { identity, local: isOpen ? null : local, service_project_id: project_ids.service, session: null, close: () => Promise.resolve() };
}
