/** The key manager that `[certificates] cert_manager` chooses. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { registerSecrets } from '../api/secrets/register.ts';
import type { Identity } from '../cloud/identity.ts';
import { createNoSecrets, createNoopSecrets } from '../cloud/fake/secrets.ts';
import { createCertificateFiles } from '../cloud/local/certificate-files.ts';
import type { RecordStore } from '../cloud/local/record-store.ts';
import { createEmbeddedSecrets } from '../cloud/local/secrets/embedded-secrets.ts';
import { createKeyManager, type KeyManager } from '../cloud/local/secrets/key-manager.ts';
import { resealPayloads } from '../cloud/local/secrets/reseal.ts';
import { createSealer, type Sealer } from '../cloud/local/secrets/seal.ts';
import { type BarbicanAccess, createBarbicanSecrets } from '../cloud/openstack/barbican.ts';
import { createHttp, Unreachable } from '../cloud/openstack/http.ts';
import { endpointOf, type Session } from '../cloud/openstack/session.ts';
import type { Secrets } from '../cloud/secrets.ts';
import type { Config } from '../config/table.ts';
import type { Database } from '../db/database.ts';
import { putSetting, putSettingIfAbsent } from '../db/settings.ts';
import { systemClock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { Secret } from '../lib/secret.ts';
import { issueCertificate, type Pki } from '../providers/amphora/pki.ts';
import { secretFile } from './secret-file.ts';
import { type State, StartRefused } from './state.ts';

/** What it is built from. */
export type SecretsParts = {
  readonly config: Config;
  readonly state: State;
  readonly store: RecordStore;
  readonly db: Database;
  readonly pki: Pki;
  /** The service's sign-in to Keystone, whose catalog names the Barbican; null: there is none. */
  readonly session: Session | null;
  readonly log: Logger;
};

/** A key manager: for controllers, and where it is the embedded one, for clients too. */
export type OpenedSecrets = {
  readonly secrets: Secrets;
  readonly keyManager: KeyManager | null;
  readonly facades: (identity: Identity) => ((app: FastifyInstance) => void)[];
  readonly close: () => Promise<void>;
};

const alone = (secrets: Secrets, close = () => Promise.resolve()): OpenedSecrets => ({
  secrets,
  keyManager: null,
  facades: () => [],
  close,
});

/** Opens it. Throws `StartRefused` when its keys are not those of the database. */
export async function openSecrets(parts: SecretsParts): Promise<OpenedSecrets> {
  const { certificates } = parts.config;
  switch (certificates.cert_manager) {
    case 'embedded_cert_manager':
      return openEmbedded(parts);
    case 'local_cert_manager':
      return alone(createCertificateFiles(certificates.storage_path));
    case 'noop_cert_manager':
      return alone(openNoop(parts.pki));
    case 'barbican_cert_manager':
      return openBarbican(parts);
    default:
      throw new StartRefused(
        `cert_manager = ${certificates.cert_manager} is not there: use barbican_cert_manager, embedded_cert_manager or local_cert_manager in the group [certificates].`,
      );
  }
}

function openNoop(pki: Pki): Secrets {
  const years_10 = 10 * 365 * 86_400;
  const issued = issueCertificate(pki.authority, 'noop.octavia', { seconds: years_10, digest: 'sha256', now_ms: Date.now() });
  const { certificate, key, not_after } = issued;
  return createNoopSecrets({ certificate, key, intermediates: [], not_after_ms: not_after.getTime() });
}

/** Without a Keystone there is no Barbican, and nothing that needs certificates can be made; everything else can. */
function openBarbican({ config, store, session, log }: SecretsParts): OpenedSecrets {
  if (session === null) {
    log.warn('cert_manager is barbican_cert_manager but auth_strategy is not keystone: there are no certificates for listeners and pools');
    return alone(createNoSecrets());
  }
  const { endpoint, endpoint_type, region_name: region, ca_certificates_file: cafile, insecure } = config.certificates;
  const http = createHttp({ cafile, insecure, connect_timeout_ms: 5000, timeout_ms: 10_000 });
  const wanted = { interface: endpoint_type.replace(/URL$/u, ''), region };
  const access: BarbicanAccess = {
    async endpoint() {
      const found = endpoint ?? endpointOf((await session.current()).catalog, 'key-manager', wanted);
      if (found === null) throw new Unreachable(`the catalog names no ${wanted.interface} address of the type key-manager`);
      return found;
    },
    token: async () => (await session.current()).token,
    refuse: (token) => session.refuse(token),
    user_id: async () => (await session.current()).user_id,
  };
  return alone(createBarbicanSecrets({ access, http, store }), () => http.close());
}

async function openEmbedded({ config, state, store, db, log }: SecretsParts): Promise<OpenedSecrets> {
  const { secrets_keys, max_allowed_secret_in_bytes: max_bytes } = config.certificates;
  const sealer = sealerOf(secrets_keys, state);
  await checkKeys(db, sealer);
  const keyManager = createKeyManager({ store, sealer, clock: systemClock, max_bytes });
  // Others go on meanwhile: all keys decrypt.
  if (sealer.key_ids.length > 1)
    resealPayloads(store, sealer).then(
      (count) => count > 0 && log.info({ count, key_id: sealer.key_id }, 'secrets were encrypted with the first key'),
      (error: unknown) => log.warn({ err: error }, 'not all secrets could be encrypted with the first key; the next start tries again'),
    );
  const base_url = config.api_settings.api_base_uri;
  const isOpen = config.api_settings.auth_strategy === 'noauth' || config.api_settings.auth_strategy === 'testing';
  return {
    close: () => Promise.resolve(),
    keyManager,
    secrets: createEmbeddedSecrets(keyManager, store),
    facades: (identity) => [
      (app) => registerSecrets(app, { keyManager, identity, base_url, log }),
      // For clients without a catalog, who send everything to one address.
      ...(isOpen ? [(app: FastifyInstance) => registerSecrets(app, { keyManager, identity, base_url, log, prefix: '' })] : []),
    ],
  };
}

function sealerOf(given: Secret | null, state: State): Sealer {
  const texts =
    given === null
      ? [secretFile(join(state.dir, 'secrets.key'), () => randomBytes(48).toString('base64url'))]
      : given
          .reveal()
          .split(',')
          .map((each) => each.trim())
          .filter(Boolean);
  try {
    return createSealer(texts.map((text) => new Secret(text)));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartRefused(`secrets_keys in the group [certificates] cannot be used (${reason}): draw one with openssl rand -base64 48.`, {
      cause: error,
    });
  }
}

const keySetting = 'secrets.key_id';

/** Two controllers with keys of their own would not read each other's secrets, and nobody would notice before a listener needs one. */
async function checkKeys(db: Database, sealer: Sealer): Promise<void> {
  const used = await db.tx((tx) => putSettingIfAbsent(tx, keySetting, sealer.key_id));
  if (used === sealer.key_id) return;
  if (!sealer.key_ids.includes(used))
    throw new StartRefused(
      'The secrets in the database are encrypted with another key: copy secrets.key from the state folder of the first controller, or give all controllers the same secrets_keys in the group [certificates].',
    );
  await db.tx((tx) => putSetting(tx, keySetting, sealer.key_id));
}
