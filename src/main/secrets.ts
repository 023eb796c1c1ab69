/** The key manager that `[certificates] cert_manager` chooses. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { registerSecrets } from '../api/secrets/register.ts';
import type { Identity } from '../cloud/identity.ts';
import { createNoopSecrets } from '../cloud/fake/secrets.ts';
import { createCertificateFiles } from '../cloud/local/certificate-files.ts';
import type { RecordStore } from '../cloud/local/record-store.ts';
import { createEmbeddedSecrets } from '../cloud/local/secrets/embedded-secrets.ts';
import { createKeyManager, type KeyManager } from '../cloud/local/secrets/key-manager.ts';
import { resealPayloads } from '../cloud/local/secrets/reseal.ts';
import { createSealer, type Sealer } from '../cloud/local/secrets/seal.ts';
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
  readonly log: Logger;
};

/** A key manager: for controllers, and where it is the embedded one, for clients too. */
export type OpenedSecrets = {
  readonly secrets: Secrets | null;
  readonly keyManager: KeyManager | null;
  readonly facades: (identity: Identity) => ((app: FastifyInstance) => void)[];
};

const alone = (secrets: Secrets | null): OpenedSecrets => ({ secrets, keyManager: null, facades: () => [] });

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
    default:
      return alone(null);
  }
}

function openNoop(pki: Pki): Secrets {
  const years_10 = 10 * 365 * 86_400;
  const issued = issueCertificate(pki.authority, 'noop.octavia', { seconds: years_10, digest: 'sha256', now_ms: Date.now() });
  const { certificate, key, not_after } = issued;
  return createNoopSecrets({ certificate, key, intermediates: [], not_after_ms: not_after.getTime() });
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
